"""Greedy suppression of overlapping boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vultus.errors import InputError

__all__ = ["suppress"]


def suppress(
    boxes: npt.ArrayLike, scores: npt.ArrayLike, iou: float, most: int | None = None
) -> npt.NDArray[np.intp]:
    """Return the indices of the boxes that survive greedy suppression, best score first.

    boxes: (n, 4) as x1, y1, x2, y2. scores: (n,). A box falls when it overlaps a better one that stands by
    more than `iou`; of equal scores the earlier box is the better. most: stop after so many survivors.
    Raises InputError when the shapes do not belong together.
    """
    b = np.asarray(boxes, np.float32)
    s = np.asarray(scores, np.float32)
    if b.shape != (len(s), 4) or s.ndim != 1:
        raise InputError(f"boxes (n, 4) and scores (n,) are needed, not {b.shape} and {s.shape}")
    order = np.argsort(-s, kind="stable")
    b = b[order]
    areas = _areas(b)
    alive = np.ones(len(s), bool)
    kept: list[int] = []
    limit = len(s) if most is None else most
    for i in range(len(s)):
        if len(kept) >= limit:
            break
        if alive[i]:
            kept.append(i)
            alive[i + 1 :] &= _overlap(b[i], areas[i], b[i + 1 :], areas[i + 1 :]) <= iou
    return np.asarray(order[kept], np.intp)


def _areas(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def _overlap(
    box: npt.NDArray[np.float32],
    area: np.float32,
    others: npt.NDArray[np.float32],
    areas: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Return the intersection over union of one box with the others (n,)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    inter = np.maximum(sides[:, 0], 0) * np.maximum(sides[:, 1], 0)
    return np.asarray(inter / np.maximum(area + areas - inter, np.float32(1e-12)), np.float32)
