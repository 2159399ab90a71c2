"""The arithmetic of WIDER FACE's own evaluation (Yang et al. 2016, "WIDER FACE: A Face Detection Benchmark").

It differs from the usual average precision in ways that move the figures, all kept here:

- Scores are stretched over the whole data set to 0-1, and precision is read at 1000 fixed thresholds.
- A side of a box is x2 - x1 + 1, on true boxes and on found ones.
- A found box looks at the one true box that it overlaps most, be that one free, taken or to be ignored. From an
  overlap of .5 on a face of the difficulty takes it if it is free, and else is a false alarm; on an ignored face the
  box counts neither way, and so does any other box there.
- A picture without true boxes is left out whole: its false alarms count nowhere.
- The curve ends at its last recall; the area is that under its envelope (VOC 2010 and later).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "THRESHOLDS",
    "Curve",
    "average_precision",
    "counts_of",
    "curve_of",
    "normalised",
    "overlaps",
]

Array = npt.NDArray[np.float64]

THRESHOLDS: Array = 1 - np.arange(1, 1001) / 1000
"""The 1000 scores at which recall and precision are read, .999 down to 0."""

IOU = 0.5


@dataclass(frozen=True)
class Curve:
    """Precision and recall at THRESHOLDS, and what they were made of.

    found: boxes that count, as hits or false alarms, at each threshold. hits: true faces found. faces: all true ones.
    """

    found: npt.NDArray[np.int64]
    hits: npt.NDArray[np.int64]
    faces: int

    @property
    def precision(self) -> Array:
        """Share of hits among what counts; 0 where nothing counts yet."""
        return np.divide(self.hits, self.found, out=np.zeros(len(self.found)), where=self.found > 0)

    @property
    def recall(self) -> Array:
        """Share of the true faces that were found; NaN when there are none."""
        return self.hits / self.faces if self.faces else np.full(len(self.hits), np.nan)


def normalised(scores: Sequence[npt.NDArray[np.floating]]) -> list[Array]:
    """Return the scores of all pictures stretched so that the least of all is 0 and the largest 1.

    Where all are equal there is nothing to stretch, and all are 1.
    """
    every = np.concatenate([np.empty(0), *scores])
    if not len(every):
        return [np.empty(0) for _ in scores]
    low, high = every.min(), every.max()
    if low == high:
        return [np.ones(len(one)) for one in scores]
    return [(np.asarray(one, np.float64) - low) / (high - low) for one in scores]


def overlaps(boxes: npt.NDArray[np.floating], truth: npt.NDArray[np.floating]) -> Array:
    """Return the (n, m) intersection over union of boxes (n, 4) and (m, 4) given as x, y, width, height."""
    found, true = _corners(boxes)[:, None], _corners(truth)[None]
    sides = np.minimum(found[..., 2:], true[..., 2:]) - np.maximum(found[..., :2], true[..., :2]) + 1
    inter = np.where((sides > 0).all(axis=2), sides.prod(axis=2), 0.0)
    areas = [(box[..., 2:] - box[..., :2] + 1).prod(axis=2) for box in (found, true)]
    return np.asarray(inter / (areas[0] + areas[1] - inter))


def _corners(boxes: npt.NDArray[np.floating]) -> Array:
    values = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([values[:, :2], values[:, :2] + values[:, 2:]], axis=1)


def counts_of(
    boxes: npt.NDArray[np.floating],
    scores: npt.NDArray[np.floating],
    truth: npt.NDArray[np.floating],
    kept: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (found, hits) of one picture at each of THRESHOLDS.

    boxes: (n, 4) and truth: (m, 4) as x, y, width, height. scores: (n,), normalised. kept: (m,), true for the faces
    of the difficulty; the others are ignored.
    """
    nothing = np.zeros(len(THRESHOLDS), np.int64)
    if not len(boxes) or not len(truth):
        return nothing, nothing.copy()
    order = np.argsort(-scores, kind="stable")
    overlap = overlaps(boxes[order], truth)
    best = overlap.argmax(axis=1)
    near = overlap.max(axis=1) >= IOU
    ignored = near & ~kept[best]
    taking = near & kept[best]
    # Of the boxes on one face the first takes it: its place among equal faces.
    first = np.zeros(len(order), np.bool_)
    places, faces = np.flatnonzero(taking), best[taking]
    first[places[np.unique(faces, return_index=True)[1]]] = True
    reached = np.searchsorted(-scores[order], -THRESHOLDS, side="right")
    running = [np.concatenate([[0], np.cumsum(part)]) for part in (~ignored, first)]
    return running[0][reached], running[1][reached]


def curve_of(counts: Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], faces: int) -> Curve:
    """Return the curve of a data set from the (found, hits) of its pictures and the number of its true faces."""
    found, hits = np.zeros(len(THRESHOLDS), np.int64), np.zeros(len(THRESHOLDS), np.int64)
    for one_found, one_hits in counts:
        found += one_found
        hits += one_hits
    return Curve(found, hits, faces)


def average_precision(curve: Curve) -> float:
    """Return the area under the envelope of a curve; NaN without a true face."""
    if not curve.faces:
        return float("nan")
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    return float((np.diff(curve.recall, prepend=0.0) * envelope).sum())
