"""Several looks at one picture, fused into one list of faces: scales and mirror images vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vultus.geometry import box_iou
from vultus_models.teachers.retinaface import Candidates

__all__ = ["MIRRORED_POINTS", "Finder", "fused", "looks", "mirrored_points"]

MIRRORED_POINTS = (1, 0, 2, 4, 3)
SAME_FACE_IOU = 0.45

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
Finder = Callable[[Pixels], list[Candidates]]
"""A batch (B, H, W, 3) of BGR pictures to the unsuppressed faces of each."""


def mirrored_points(points: Array, width: int) -> Array:
    """Mirror five points (..., 5, 2) left to right in a picture of this width and keep the picture order."""
    out = points[..., MIRRORED_POINTS, :].copy()
    out[..., 0] = width - 1 - out[..., 0]
    return out


def looks(find: Finder, pictures: Pixels, scales: Sequence[float], pad: int) -> list[list[Candidates]]:
    """Look at every picture of a batch at each scale, plain and mirrored: a list of looks for each picture.

    pad: pixels of grey border that are put round the pictures first, for faces that touch their edges.
    """
    border = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    padded = np.pad(pictures, border, constant_values=110)
    height, width = padded.shape[1:3]
    found: list[list[Candidates]] = [[] for _ in pictures]
    for scale in scales:
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        batch = np.stack([cv2.resize(p, size, interpolation=method) for p in padded]).astype(np.uint8)
        for mirror in (False, True):
            view = np.ascontiguousarray(batch[:, :, ::-1]) if mirror else batch
            for number, one in enumerate(find(view)):
                seen = _mirrored(one, size[0]) if mirror else one
                found[number].append(_moved(seen, width / size[0], height / size[1], pad))
    return found


def _mirrored(seen: Candidates, width: int) -> Candidates:
    boxes = seen.boxes[:, [2, 1, 0, 3]]
    boxes[:, [0, 2]] = width - 1 - boxes[:, [0, 2]]
    return Candidates(boxes, mirrored_points(seen.points, width), seen.scores)


def _moved(seen: Candidates, sx: float, sy: float, pad: int) -> Candidates:
    scale = np.array([sx, sy])
    shift = 0.5 * scale - 0.5 - pad
    boxes = (seen.boxes.reshape(-1, 2, 2) * scale + shift).reshape(-1, 4)
    return Candidates(boxes, seen.points * scale + shift, seen.scores)


def _strongest(seen: Candidates) -> Candidates:
    """Suppress the overlapping faces of one look."""
    order, keep = list(np.argsort(-seen.scores, kind="stable")), []
    iou = box_iou(seen.boxes, seen.boxes)
    while order:
        best = order[0]
        keep.append(best)
        order = [i for i in order[1:] if iou[best, i] < SAME_FACE_IOU]
    return Candidates(seen.boxes[keep], seen.points[keep], seen.scores[keep])


def fused(seen: Sequence[Candidates]) -> Candidates:
    """Join the looks at one picture: boxes and points averaged by score, score the mean of its better half.

    A face that only one scale can see keeps most of its score; one that half the looks miss becomes doubtful.
    """
    single = [_strongest(one) for one in seen]
    boxes, points, scores = (
        np.concatenate([getattr(one, name) for one in single]) for name in ("boxes", "points", "scores")
    )
    half = max(1, len(single) // 2)
    free = np.ones(len(scores), bool)
    rows = []
    for best in np.argsort(-scores, kind="stable"):
        if not free[best]:
            continue
        group = np.flatnonzero(free & (box_iou(boxes[best], boxes)[0] >= SAME_FACE_IOU))
        free[group] = False
        weight = scores[group] / scores[group].sum()
        vote = float(np.sort(scores[group])[::-1][:half].sum() / half)
        rows.append((weight @ boxes[group], np.einsum("n,nkd->kd", weight, points[group]), vote))
    if not rows:
        return Candidates(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0))
    return Candidates(*(np.stack([row[i] for row in rows]) for i in range(3)))
