"""How far two lists of FACE records may be apart and still be the same answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.geometry import box_iou
from vultus.types import FaceArray

__all__ = ["LIMITS", "Disagreement", "agreement", "require_agreement"]

PLACES = ("box", "points", "landmarks")
LEAST_OVERLAP = 0.5

LIMITS: dict[str, float] = {
    "score": 0.02,
    "box": 0.01,
    "points": 0.01,
    "landmarks": 0.015,
    "pose": 2.0,
    "age": 1.5,
    "age_spread": 1.5,
    "gender": 0.05,
    "ethnicity": 0.05,
    "expression": 0.05,
    "smile": 4.0,
    "attractiveness": 3.0,
    "eyeglasses": 0.05,
    "facial_hair": 0.05,
    "quality": 0.05,
}
"""The most that a field may differ, in the record's units; places as shares of the face's larger side.

The same network on another device differs by roundings alone; crops may differ by a grey level, because one path
samples in fixed point and the other in floats, and a network answers to that.
"""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Disagreement:
    """Largest difference of each field over all faces, and the faces that only one side has."""

    fields: dict[str, float]
    faces: int
    unmatched: int

    def problems(self, slack: float = 1.0) -> list[str]:
        """Return what is beyond its limit, times `slack`, in words."""
        found = [f"{self.unmatched} faces have no partner"] if self.unmatched else []
        return found + [
            f"{name} differs by {value:.3g} (limit {LIMITS[name] * slack:.3g})"
            for name, value in self.fields.items()
            if not value <= LIMITS[name] * slack
        ]


def agreement(expected: FaceArray, found: FaceArray) -> Disagreement:
    """Pair the faces by overlap and return how far the pairs are apart; NaN on one side alone counts as inf."""
    pairs = _pairs(expected, found)
    left, right = (side[[pair[i] for pair in pairs]] for i, side in enumerate((expected, found)))
    unmatched = len(expected) + len(found) - 2 * len(pairs)
    fields = {name: _worst(name, left, right) for name in LIMITS} if pairs else {}
    return Disagreement(fields, len(pairs), unmatched)


def require_agreement(expected: FaceArray, found: FaceArray, slack: float = 1.0) -> Disagreement:
    """Return how far two answers are apart; raises AssertionError, in words, beyond the limits times `slack`."""
    apart = agreement(expected, found)
    problems = apart.problems(slack)
    if problems:
        raise AssertionError("; ".join(problems))
    return apart


def _pairs(expected: FaceArray, found: FaceArray) -> list[tuple[int, int]]:
    overlaps = box_iou(expected["box"], found["box"])
    pairs: list[tuple[int, int]] = []
    while overlaps.size and overlaps.max() >= LEAST_OVERLAP:
        i, j = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        pairs.append((int(i), int(j)))
        overlaps[i], overlaps[:, j] = -1, -1
    return pairs


def _worst(name: str, left: FaceArray, right: FaceArray) -> float:
    a, b = (np.asarray(side[name], np.float64).reshape(len(side), -1) for side in (left, right))
    apart = np.abs(a - b)
    if name == "pose":
        apart = np.minimum(apart, 360 - apart)
    apart[np.isnan(a) & np.isnan(b)] = 0.0
    apart[np.isnan(a) != np.isnan(b)] = np.inf
    if name in PLACES:
        apart = apart / _sides(left)[:, None]
    return float(apart.max())


def _sides(faces: FaceArray) -> Array:
    box = np.asarray(faces["box"], np.float64)
    return np.asarray(np.maximum((box[:, 2:] - box[:, :2]).max(axis=1), 1e-6), np.float64)
