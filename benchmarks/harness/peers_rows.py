"""The rows of peers.json: a peer at a number of threads, with figures or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.peers_install import Environment
from harness.peers_known import REFERENCE, Peer
from harness.peers_rounds import Timing, compare_with

__all__ = ["FIGURES", "rows_of"]

FIGURES = (
    "faces",
    "p50_ms",
    "p90_ms",
    "cpu_ms",
    "rss_mib",
    "import_s",
    "open_s",
    "first_ms",
    "installed_mb",
    "ratio",
    "ratio_ci95",
    "samples",
)
"""Keys that every row has; null in a row with a reason."""

Times = Mapping[int, Mapping[str, Timing]]


def rows_of(
    peers: tuple[Peer, ...],
    environments: Mapping[str, Environment],
    times: Times,
    accuracy: Mapping[str, dict[str, Any]],
    failed: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return the rows in the order of the peers, then of threads."""
    ratios = {threads: compare_with(timings, REFERENCE) for threads, timings in times.items()}
    starts = {peer.name: _starts(peer.name, times) for peer in peers}
    rows = []
    for peer in peers:
        for threads, timings in times.items():
            row = {**_facts(peer, environments.get(peer.name)), "threads": threads, **dict.fromkeys(FIGURES)}
            if peer.name in timings:
                row |= timings[peer.name].figures() | ratios[threads][peer.name] | starts[peer.name]
                row["faces"] = timings[peer.name].faces
                row["installed_mb"] = round(environments[peer.name].installed_mb, 1)
            rows.append(
                {**row, **accuracy.get(peer.name, {"ap40": None}), **_reason(peer.name, accuracy, failed)}
            )
    return rows


def _facts(peer: Peer, environment: Environment | None) -> dict[str, Any]:
    return {
        "name": peer.name,
        "version": environment.version if environment else peer.version,
        "licence": peer.licence,
        "task": peer.task,
        "computes": peer.computes,
        "handling": peer.handling,
        "engines": environment.versions if environment else {},
    }


def _starts(name: str, times: Times) -> dict[str, float]:
    """Return the median times of importing and of opening models over all starts."""
    opened = [timings[name].opened for timings in times.values() if name in timings]
    return {
        key: round(float(np.median([one[key] for one in opened])), 3)
        for key in ("import_s", "open_s")
        if opened
    }


def _reason(name: str, accuracy: Mapping[str, dict[str, Any]], failed: Mapping[str, str]) -> dict[str, Any]:
    return {"reason": failed.get(name) or accuracy.get(name, {}).get("reason")}
