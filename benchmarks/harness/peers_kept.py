"""What of an earlier sitting still holds: other packages' accuracy, and times where the weights alone are new."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.network_size import models_measured, same_work
from harness.peers_accuracy import JUDGED
from harness.peers_install import OWN
from harness.peers_known import Peer

__all__ = ["kept_accuracy", "rejudged", "stored"]


def kept_accuracy(
    result: Mapping[str, Any], peers: Sequence[Peer], pictures: int
) -> dict[str, dict[str, Any]]:
    """Return the accuracy of other packages in a result, of those that are of the same version still.

    Raises ValueError when the result was judged on another number of pictures.
    """
    if result["pictures"] != pictures:
        raise ValueError(
            f"the committed result was judged on {result['pictures']} pictures a set, not {pictures}; "
            "leave --keep-accuracy out"
        )
    versions = {peer.name: peer.version for peer in peers if peer.place != OWN}
    return {
        row["name"]: {key: row[key] for key in JUDGED if key in row}
        for row in result["rows"]
        if versions.get(row["name"]) == row["version"] and not row["reason"]
    }


def rejudged(
    result: Mapping[str, Any], accuracy: Mapping[str, dict[str, Any]], commit: str | None
) -> dict[str, Any]:
    """Return a result whose rows of vultus have the accuracy of the models of now; times stay.

    Raises ValueError when the models of now are of another architecture, since their times are others then.
    """
    models = models_measured()
    before, now = ([(m["name"], m["macs"]) for m in found] for found in (result["models"], models))
    if not _alike(before, now):
        raise ValueError(
            f"the times are of {before}, the default models are {now} (name, multiply-accumulates): "
            "measure all again, without --rejudge"
        )
    rows = [{**row, **accuracy.get(row["name"], {})} for row in result["rows"]]
    return {**result, "models": models, "judged_commit": commit, "rows": rows}


def _alike(before: Sequence[tuple[str, int]], now: Sequence[tuple[str, int]]) -> bool:
    return len(before) == len(now) and all(
        then == name and same_work(macs, found)
        for (then, macs), (name, found) in zip(before, now, strict=True)
    )


def stored(path: Path) -> dict[str, Any]:
    """Return the committed result; raises ValueError where there is none."""
    if not path.is_file():
        raise ValueError(f"there is no {path.name} yet; measure all of it first")
    return dict(json.loads(path.read_text("utf-8")))
