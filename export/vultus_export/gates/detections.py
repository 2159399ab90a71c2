"""Detectors on the same pictures, and the faces of one beside those of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vultus.geometry import box_iou
from vultus.onnxfile import spec_from_onnx
from vultus.pipeline import Analyzer
from vultus.spec import DetectorSpec
from vultus.types import FaceArray
from vultus_export.gates.faces import choice_for
from vultus_export.gates.sources import Row, Source
from vultus_export.metrics.detection import LOWEST_SCORE

__all__ = ["Detected", "Pair", "chosen", "detect", "pairs_of"]

Tick = Callable[[int], None]

SAME_FACE = 0.5
"""Boxes of two detectors that overlap by this IoU or more show the same face."""


@dataclass(frozen=True)
class Detected:
    """What several detectors found in the pictures of a source.

    low: for each detector the faces of each row, down to LOWEST_SCORE where boxes are labelled, else down to half its
    own least score. shipped: the same down to its own least score, which `limits` holds.
    """

    source: Source
    low: tuple[tuple[FaceArray, ...], ...]
    shipped: tuple[tuple[FaceArray, ...], ...]
    limits: tuple[float, ...]


def detect(models: Sequence[Path], source: Source, device: str, threads: int | None, tick: Tick) -> Detected:
    """Run every detector over the pictures of a source; a picture is read once."""
    found: list[list[FaceArray]] = [[] for _ in models]
    limits = [_least_score(path) for path in models]
    labelled = "boxes" in source.labels
    with ExitStack() as stack:
        finders = [
            stack.enter_context(
                Analyzer(device, [path], min_score=LOWEST_SCORE if labelled else limit / 2, threads=threads)
            )
            for path, limit in zip(models, limits, strict=True)
        ]
        for done, row in enumerate(source.rows, start=1):
            picture = source.picture(row)
            for finder, kept in zip(finders, found, strict=True):
                kept.append(finder.detect(picture))
            tick(done)
    low = tuple(tuple(kept) for kept in found)
    pairs = zip(low, limits, strict=True)
    shipped = tuple(tuple(faces[faces["score"] >= limit] for faces in kept) for kept, limit in pairs)
    return Detected(source, low, shipped, tuple(limits))


def _least_score(path: Path) -> float:
    detector = spec_from_onnx(path).detector
    assert isinstance(detector, DetectorSpec), "the models were checked to be detectors"
    return float(np.float32(detector.min_score))  # the runtime compares float32 scores


def chosen(source: Source, faces: Sequence[FaceArray]) -> list[FaceArray | None]:
    """Return of each picture the face that its labels mean, None where it was not found."""
    choose = choice_for(source)[0]
    places = [choose(found, row) for found, row in zip(faces, source.rows, strict=True)]
    return [
        None if place is None else found[place : place + 1]
        for found, place in zip(faces, places, strict=True)
    ]


@dataclass(frozen=True)
class Pair:
    """A face that one detector reports, and what the other has there.

    score: the other's score, 0 where it has nothing. flipped: the other has it, below its least score. gap: 1 - IoU.
    apart: mean distance of the five points as a share of the box's side.
    """

    row: Row
    of_master: bool
    score: float
    flipped: bool
    gap: float = 1.0
    apart: float = 1.0


def pairs_of(one: Detected, place: int) -> Iterator[Pair]:
    """Yield the master's faces that count; where all faces do, also those that the candidate alone reports."""
    every = not one.source.labels or "boxes" in one.source.labels
    low = [[faces[faces["score"] >= one.limits[i] / 2] for faces in one.low[i]] for i in (0, place)]
    mains = one.shipped[0] if every else _mains(one)
    for row, faces, others in zip(one.source.rows, mains, low[1], strict=True):
        yield from _partners(row, faces, others, one.limits[place], True)
    if every:
        for row, faces, others in zip(one.source.rows, one.shipped[place], low[0], strict=True):
            yield from _partners(row, faces, others, one.limits[0], False)


def _partners(row: Row, faces: FaceArray, others: FaceArray, limit: float, of_master: bool) -> Iterator[Pair]:
    overlap = box_iou(faces["box"], others["box"])
    for face, shared in zip(faces, overlap, strict=True):
        best = int(shared.argmax()) if len(others) else -1
        if best < 0 or shared[best] < SAME_FACE:
            yield Pair(row, of_master, 0.0, False)
            continue
        other = others[best]
        score = float(other["score"])
        yield Pair(row, of_master, score, score < limit, 1 - float(shared[best]), _apart(face, other))


def _mains(one: Detected) -> list[FaceArray]:
    """Return of each picture the labelled face, as the master finds it."""
    labelled = chosen(one.source, one.shipped[0])
    return [faces[:0] if face is None else face for face, faces in zip(labelled, one.shipped[0], strict=True)]


def _apart(one: np.void, two: np.void) -> float:
    """Return the mean distance of the five points of two faces as a share of the first one's side."""
    box = one["box"].astype(np.float64)
    side = float(np.sqrt(max((box[2:] - box[:2]).prod(), 1e-6)))
    return float(np.linalg.norm(one["points"] - two["points"], axis=-1).mean()) / side
