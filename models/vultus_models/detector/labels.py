"""What the pictures hold: true boxes and points where a set has them, the teacher's elsewhere.

Boxes follow the convention of the `crowds` set, which leaves the forehead out; the teacher's are moved there.
A face that is surely there is a face, one that may be there is ignored: neither sought nor punished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.geometry import apply_affine, box_iou, invert_affine, similarity_from_points, template_points
from vultus_models.data.sets import Row
from vultus_models.teachers.retinaface import Candidates

__all__ = ["Labels", "crowds_boxes", "labels_alone", "labels_of", "true_boxes", "true_points"]

Array = npt.NDArray[np.float64]

# Where the edges of a crowds box lie against the teacher's, as shares of the teacher's width and height:
# medians over the unmasked faces of crowds train above 25 px.
EDGES = (0.01, 0.18, 0.03, 0.08)

ALONE = np.array([0.18, 0.30, 0.82, 0.92])
"""A box of that convention as shares of the aligned crop, for true points of a face that no teacher has seen."""

SURE, SURE_UNLABELLED, DOUBTFUL = 0.7, 0.9, 0.2
FIVE_OF_68 = (range(36, 42), range(42, 48), (30,), (48,), (54,))
FIVE_NAMES = ("leye", "reye", "nose", "lmouth", "rmouth")


@dataclass(frozen=True)
class Labels:
    """Labels of one picture in its pixels.

    boxes: (n, 4). points: (n, 5, 2), NaN where unknown. sure: (n,) false marks a region to ignore.
    """

    boxes: Array
    points: Array
    sure: npt.NDArray[np.bool_]


def crowds_boxes(boxes: Array) -> Array:
    """Move boxes (n, 4) from the teacher's convention to that of the crowds set."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], (1, 2))
    return np.asarray(boxes + sides * np.array(EDGES))


def true_boxes(row: Row) -> Array:
    """Return the boxes (n, 4) of a crowds row."""
    rows = [[float(v) for v in one.split()[:4]] for one in row["boxes"].split(";") if one.strip()]
    return np.array(rows, np.float64).reshape(-1, 4)


def true_points(row: Row) -> Array | None:
    """Return the five true points (5, 2) of a row, from its own five or its 68, or None when it has none."""
    if "leye_x" in row:
        return np.array([[float(row[f"{name}_{axis}"]) for axis in "xy"] for name in FIVE_NAMES])
    if "x67" in row:
        every = np.array([[float(row[f"x{i}"]), float(row[f"y{i}"])] for i in range(68)])
        return np.stack([every[list(part)].mean(axis=0) for part in FIVE_OF_68])
    return None


def labels_of(row: Row, seen: Candidates) -> Labels:
    """Join the truth of a row with what the teacher saw in its picture."""
    boxes = crowds_boxes(seen.boxes)
    if "boxes" in row:
        return _with_true_boxes(true_boxes(row), boxes, seen)
    points, sure = seen.points.copy(), seen.scores >= SURE
    truth = true_points(row)
    if truth is not None:
        boxes, points, sure = _with_true_points(truth, boxes, points, sure)
    keep = sure | np.pad(seen.scores >= DOUBTFUL, (0, len(sure) - len(seen.scores)), constant_values=True)
    return Labels(boxes[keep], points[keep], sure[keep])


def labels_alone(row: Row) -> Labels:
    """Return the truth of a row where there is no teacher: its boxes, or a box about its true points."""
    points = true_points(row)
    if points is None:
        boxes = true_boxes(row) if "boxes" in row else np.zeros((0, 4))
        return Labels(boxes, np.full((len(boxes), 5, 2), np.nan), np.ones(len(boxes), bool))
    crop = invert_affine(similarity_from_points(points[None], template_points(1))[0])
    middle = apply_affine(crop, (ALONE[:2] + ALONE[2:]) / 2 - 0.5)
    half = (ALONE[2:] - ALONE[:2]) / 2 * math.hypot(*crop[:, 0])
    return Labels(np.concatenate([middle - half, middle + half])[None], points[None], np.ones(1, bool))


def _with_true_boxes(truth: Array, boxes: Array, seen: Candidates) -> Labels:
    """Give true boxes the points of the teacher's matching face; keep what only the teacher saw."""
    points = np.full((len(truth), 5, 2), np.nan)
    iou = box_iou(truth, boxes)
    for i in range(len(truth) if len(boxes) else 0):
        best = int(iou[i].argmax())
        if iou[i, best] >= 0.4 and seen.scores[best] >= 0.5:
            points[i] = seen.points[best]
    taken = iou.max(axis=0, initial=0.0) >= 0.25
    extra = ~taken & (seen.scores >= DOUBTFUL)
    sure = np.concatenate([np.ones(len(truth), bool), seen.scores[extra] >= SURE_UNLABELLED])
    return Labels(np.concatenate([truth, boxes[extra]]), np.concatenate([points, seen.points[extra]]), sure)


def _with_true_points(
    truth: Array, boxes: Array, points: Array, sure: npt.NDArray[np.bool_]
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Put true points in place of the teacher's: a face that they confirm is sure, whatever its score."""
    spread = math.sqrt(float(np.ptp(truth, axis=0).prod())) + 1e-6
    away = np.linalg.norm(points - truth, axis=-1).mean(axis=-1) / spread
    if len(away) and away.min() < 0.3:
        best = int(away.argmin())
        points[best], sure[best] = truth, True
        return boxes, points, sure
    low, high = truth.min(axis=0), truth.max(axis=0)
    margin = (high - low).max() * 0.8
    around = np.concatenate([low - margin, high + margin])[None]
    rows = (boxes, around), (points, truth[None]), (sure, np.zeros(1, bool))
    joined = [np.concatenate(pair) for pair in rows]
    return joined[0], joined[1], joined[2].astype(bool)
