"""How well peers find faces and measure age and gender, by the metrics that judge vultus."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.measure import measure_detector, measure_faces, sets_in
from harness.peers_install import OWN, Environment, NotThere
from harness.peers_known import Peer
from harness.peers_talk import Peering, Talk
from vultus.onnxfile import spec_from_onnx
from vultus.zoo import default_models
from vultus_export.metrics.detection import LOWEST_SCORE
from vultus_export.metrics.faces import Row
from vultus_export.metrics.rows import drawn

__all__ = ["JUDGED", "Judged", "accuracies", "accuracy_of"]

NOTHING = dict.fromkeys(
    ("ap40", "ap50", "recall", "age_mae", "gender_accuracy", "gender_accuracy_10plus", "found_utkface")
)


SIDES = tuple(f"{key}_ci95" for key in ("ap40", "ap50", "recall", "age_mae", "gender_accuracy"))

JUDGED = (*NOTHING, *SIDES, "crowds", "score", "measured_utkface")
"""Keys of a row that tell of accuracy."""


@dataclass(frozen=True)
class Judged:
    """What all peers are judged on: the folder of sets, at most so many pictures of each, the folder of weights."""

    data: Path
    pictures: int
    weights: Path | None


def accuracies(
    peers: Sequence[Peer],
    environments: Mapping[str, Environment],
    judged: Judged,
    cores: Sequence[int],
    say: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Return the accuracy of each peer, one peer on each core at a time: nothing is timed here."""
    context = multiprocessing.get_context("spawn")
    free = context.Queue()
    for core in cores:
        free.put(core)
    found = {}
    with ProcessPoolExecutor(len(cores), context, _take_core, (free,)) as pool:
        asked = {
            pool.submit(_on_own_core, peer, environments[peer.name], judged): peer.name for peer in peers
        }
        for done in as_completed(asked):
            found[asked[done]] = done.result()
            say(f"judged {asked[done]}")
    return found


def _take_core(free: Any) -> None:
    global _core
    _core = free.get()


def _on_own_core(peer: Peer, environment: Environment, judged: Judged) -> dict[str, Any]:
    return accuracy_of(peer, environment, judged, _core)


_core = 0


def accuracy_of(peer: Peer, environment: Environment, judged: Judged, core: int) -> dict[str, Any]:
    """Return a peer's accuracy with intervals; {"reason": ...} where it cannot be measured.

    Boxes are asked for down to a low score for AP; recall, age and gender are of the peer as shipped.
    """
    try:
        return {
            **NOTHING,
            **_detection(peer, environment, judged, core),
            **_faces(peer, environment, judged, core),
        }
    except NotThere as error:
        return {**NOTHING, "reason": str(error)}


def _detection(peer: Peer, environment: Environment, judged: Judged, core: int) -> dict[str, Any]:
    def watch(rows: Sequence[Row], name: str) -> Iterable[Row]:
        return drawn(tuple(rows), judged.pictures)

    sets = sets_in(judged.data, ("crowds",))
    with Talk(peer, environment, {core}, 1, LOWEST_SCORE, judged.weights) as talk:
        shipped = _shipped(peer)
        entry = measure_detector(Peering(talk), sets, shipped, watch)["detector"]["crowds"]
    keys = ("ap40", "ap50", "recall")
    sides = {f"{key}_ci95": entry["ci95"][key] for key in keys}
    return {**{key: entry[key] for key in keys}, **sides, "crowds": entry["pictures"], "score": shipped}


def _shipped(peer: Peer) -> float:
    """Return the least score that a peer reports as shipped; the lowest of all for one that gives no scores."""
    if peer.place == OWN:
        detector = spec_from_onnx(default_models()[0]).detector
        assert detector, "the first of the default models is the detector"
        return detector.min_score
    return LOWEST_SCORE if peer.shipped is None else peer.shipped


def _faces(peer: Peer, environment: Environment, judged: Judged, core: int) -> dict[str, Any]:
    if not peer.measures_faces:
        return {}

    def watch(rows: Sequence[Row], name: str) -> Iterable[Row]:
        return drawn(tuple(rows), judged.pictures)

    sets = sets_in(judged.data, ("utkface",))
    with Talk(peer, environment, {core}, 1, None, judged.weights) as talk:
        peering = Peering(talk, peer.takes_crops)
        result = measure_faces(peering, sets, watch)
    age, gender = result["age"]["utkface"], result["gender"]["utkface"]
    return {
        "age_mae": age["mae"],
        "age_mae_ci95": age.get("ci95", {}).get("mae"),
        "gender_accuracy": gender["accuracy"],
        "gender_accuracy_ci95": gender.get("ci95", {}).get("accuracy"),
        "gender_accuracy_10plus": gender["accuracy_10plus"],
        "found_utkface": round(result["found"]["utkface"] * (1 - peering.taken_whole / max(age["n"], 1)), 5),
        "measured_utkface": age["n"],
    }
