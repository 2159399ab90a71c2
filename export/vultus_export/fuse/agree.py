"""Do two ways to analyse a picture find the same faces and read the same from them? One table of limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vultus.geometry import box_iou
from vultus.spec import ModelSpec
from vultus.types import FaceArray
from vultus_export.parity import ParityError

__all__ = ["LIMITS", "Agreement", "agreement"]

LIMITS: dict[str, float] = {
    "box": 0.01,
    "score": 0.01,
    "points": 0.01,
    "landmarks": 0.02,
    "pose": 1.5,
    "age": 1.0,
    "age_spread": 1.5,
    "gender": 0.04,
    "ethnicity": 0.04,
    "expression": 0.04,
    "smile": 4.0,
    "attractiveness": 1.0,
    "eyeglasses": 0.04,
    "facial_hair": 0.04,
    "quality": 0.04,
}
"""Field -> how far a face of the fused file may lie from the runtime's: box, points and landmarks as shares of the
face's side, the others in their own units. One face in twenty may lie further, as long as there are five or more."""

IN_SIDES = ("box", "points", "landmarks")
SAME_FACE = 0.6
"""Least overlap of two boxes that are called the same face."""
OVERLAP_SLACK = 0.05


@dataclass(frozen=True)
class Agreement:
    """How far a field strays over all faces but the worst twentieth, and the limit, in the units of LIMITS."""

    field: str
    error: float
    limit: float
    faces: int

    @property
    def passed(self) -> bool:
        """Whether the field lies within its limit."""
        return self.error <= self.limit

    def __str__(self) -> str:
        """Return one line for a report."""
        return f"{self.field}: {self.error:.3g} over {self.faces} faces, allowed {self.limit:g}"


def agreement(
    pairs: Sequence[tuple[FaceArray, FaceArray]], spec: ModelSpec, most: int | None = None
) -> list[Agreement]:
    """Compare (runtime's, fused) faces of pictures field by field, in the order of the record.

    most: the capacity that both were cut to. Fields that the runtime does not measure are left out. A face that
    only one side finds is let pass where a rounding could decide: its score at the threshold or at that of the last
    face that had room, its overlap at that of suppression. Else ParityError.
    """
    errors: dict[str, list[float]] = {}
    for number, (wanted, got) in enumerate(pairs):
        matches = _matches(wanted, got)
        _check_lone(number, wanted, got, matches, _least(wanted, got, spec, most), spec)
        for one, other in matches:
            for name, error in _errors(wanted[one], got[other]).items():
                errors.setdefault(name, []).append(error)
    return [
        Agreement(name, _worst(errors[name]), LIMITS[name], len(errors[name]))
        for name in LIMITS
        if name in errors
    ]


def _matches(wanted: FaceArray, got: FaceArray) -> list[tuple[int, int]]:
    """Pair the faces whose boxes overlap best, each once."""
    overlap = box_iou(wanted["box"], got["box"])
    pairs = []
    while overlap.size and overlap.max() >= SAME_FACE:
        one, other = (int(place) for place in np.unravel_index(overlap.argmax(), overlap.shape))
        pairs.append((one, other))
        overlap[one], overlap[:, other] = 0, 0
    return pairs


def _least(wanted: FaceArray, got: FaceArray, spec: ModelSpec, most: int | None) -> float:
    """Return the least score that a face needed to be found, or to have room."""
    least = spec.detector.min_score if spec.detector else 0.0
    full = [faces["score"].min() for faces in (wanted, got) if most and len(faces) >= most]
    return max([least, *map(float, full)])


def _check_lone(
    picture: int,
    wanted: FaceArray,
    got: FaceArray,
    matches: Sequence[tuple[int, int]],
    least: float,
    spec: ModelSpec,
) -> None:
    """Raise ParityError for a face that one side lacks for no good reason."""
    close = spec.detector.nms_iou - OVERLAP_SLACK if spec.detector else 1.0
    for who, own, others, side in (("the runtime", wanted, got, 0), ("the fused file", got, wanted, 1)):
        for place in set(range(len(own))) - {match[side] for match in matches}:
            score, overlap = float(own["score"][place]), box_iou(own["box"][place], others["box"])
            if score > least + LIMITS["score"] and overlap.max(initial=0.0) < close:
                box = [round(float(value), 1) for value in own["box"][place]]
                raise ParityError(
                    f"in picture {picture} only {who} finds a face, score {score:.3f}, at {box}"
                )


def _errors(wanted: np.void, got: np.void) -> dict[str, float]:
    """Return the largest error of each measured field of one face, in the units of LIMITS."""
    low, high = wanted["box"][:2], wanted["box"][2:]
    side = math.sqrt(max(float(np.prod(high - low)), 1.0))
    errors = {}
    for name in LIMITS:
        a, b = np.asarray(wanted[name], np.float64), np.asarray(got[name], np.float64)
        if np.isnan(a).all() and np.isnan(b).all():
            continue
        same = np.isnan(a) & np.isnan(b)
        error = np.where(same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf))
        errors[name] = float(error.max()) / (side if name in IN_SIDES else 1.0)
    return errors


def _worst(errors: Sequence[float]) -> float:
    """Return the largest error when the worst twentieth, of five or more, is left out."""
    left_out = math.ceil(len(errors) / 20) if len(errors) >= 5 else 0
    return sorted(errors)[len(errors) - 1 - left_out]
