"""How far the records of a lowered model lie from those of its master, in the task's own units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.errors import InputError
from vultus.geometry import box_iou
from vultus.types import FaceArray

__all__ = ["UNITS", "Loss", "detector_loss", "face_loss"]

Array = npt.NDArray[np.float64]

UNITS: dict[str, float] = {
    "faces": 0.01,  # share of faces that only one of the two models finds
    "box": 0.03,  # 1 - IoU
    "score": 0.03,
    "points": 0.02,  # distance as a share of the box's side
    "landmarks": 0.005,  # distance as a share of that between the eyes
    "pose": 0.5,  # degrees
    "age": 0.5,  # years
    "gender": 0.02,  # probability that moved
    "ethnicity": 0.02,
    "expression": 0.02,
    "smile": 1.0,  # of 100
    "attractiveness": 1.0,
    "eyeglasses": 0.02,
    "facial_hair": 0.02,
    "quality": 0.02,
}
"""Mean deviation of each part of a record that counts as one unit of loss: about what may be lost unseen, since a
model's own error is some ten times as large and adds to it as squares do."""

SAME_FACE = 0.5
OCULAR = (36, 45)
LABELLED = ("gender", "ethnicity", "expression")


@dataclass(frozen=True)
class Loss:
    """Mean deviation of each part of the records, in its own unit (see UNITS)."""

    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """Root mean square of the deviations in units of UNITS: 1 is what may be lost unseen."""
        ratios = [value / UNITS[name] for name, value in self.parts.items()]
        return math.sqrt(sum(ratio * ratio for ratio in ratios) / len(ratios))


def detector_loss(wanted: Sequence[FaceArray], got: Sequence[FaceArray], min_score: float) -> Loss:
    """Compare the faces of pictures, as two detectors find them from half the least score on.

    A face that counts (score at least `min_score`) for one detector is lost or invented when the other finds nothing
    with half of its area in common. Raises InputError when neither finds a face.
    """
    alone = counted = 0
    pairs: list[tuple[float, float, float]] = []
    for one, two in zip(wanted, got, strict=True):
        overlaps = box_iou(one["box"], two["box"])
        for faces, table in ((one, overlaps), (two, overlaps.T)):
            best = table[faces["score"] >= min_score].max(axis=1, initial=0.0)
            counted += len(best)
            alone += int((best < SAME_FACE).sum())
        pairs += _pairs(one, two, overlaps, min_score)
    if not counted:
        raise InputError("there is no face in any calibration picture; give pictures of people")
    means = np.mean(pairs, axis=0) if pairs else np.ones(3)
    names = ("box", "score", "points")
    return Loss({"faces": alone / counted, **dict(zip(names, means.tolist(), strict=True))})


def face_loss(wanted: Sequence[FaceArray], got: Sequence[FaceArray], fields: Iterable[str]) -> Loss:
    """Compare the attributes of the same faces, as two face networks measure them.

    Something that the master measured and the other did not counts as a deviation of 1 in its own unit.
    """
    one, two = np.concatenate(list(wanted)), np.concatenate(list(got))
    parts = {}
    for field in fields:
        moved = _moved(field, one, two)
        moved = np.where(np.isfinite(moved), moved, np.where(_measured(field, one), 1.0, np.nan))
        parts[field] = float(np.nanmean(moved)) if np.isfinite(moved).any() else 0.0
    return Loss(parts)


def _pairs(
    one: FaceArray, two: FaceArray, overlaps: Array, min_score: float
) -> list[tuple[float, float, float]]:
    """Return 1 - IoU, score and point deviation of each counted face that both have."""
    if not overlaps.size:
        return []
    found = []
    for i in np.flatnonzero(one["score"] >= min_score):
        j = int(overlaps[i].argmax())
        if overlaps[i, j] >= SAME_FACE:
            box = one["box"][i].astype(np.float64)
            side = math.sqrt(max(float((box[2:] - box[:2]).prod()), 1e-6))
            distance = np.linalg.norm(one["points"][i] - two["points"][j], axis=-1).mean() / side
            score = abs(float(one["score"][i]) - float(two["score"][j]))
            found.append((1.0 - float(overlaps[i, j]), score, float(distance)))
    return found


def _moved(field: str, one: FaceArray, two: FaceArray) -> Array:
    """Return the deviation of each face in the field's own unit."""
    a, b = one[field].astype(np.float64), two[field].astype(np.float64)
    if field == "landmarks":
        eyes = np.linalg.norm(a[:, OCULAR[0]] - a[:, OCULAR[1]], axis=-1)
        return np.asarray(np.linalg.norm(a - b, axis=-1).mean(axis=-1) / np.maximum(eyes, 1e-6))
    change = np.abs(a - b).reshape(len(a), -1)
    return np.asarray(change.sum(axis=1) / 2 if field in LABELLED else change.mean(axis=1))


def _measured(field: str, faces: FaceArray) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(faces[field].reshape(len(faces), -1)).all(axis=1))
