"""Greedy suppression of overlapping boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vultus.errors import InputError

__all__ = ["suppress"]

BLOCK = 128
"""Boxes compared at a time: large enough to be fast, small enough that a bad picture costs no memory."""


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
    kept: list[int] = []
    limit = len(s) if most is None else most
    for start in range(0, len(s), BLOCK):
        if len(kept) >= limit:
            break
        block = b[start : start + BLOCK]
        alive = np.logical_not((_overlaps(b[kept], block) > iou).any(axis=0), dtype=bool)
        kept.extend(start + i for i in _standing(alive, _overlaps(block, block) > iou))
    return np.asarray(order[kept[:limit]], np.intp)


def _standing(alive: npt.NDArray[np.bool_], struck: npt.NDArray[np.bool_]) -> list[int]:
    """Return who stands of a block in order, where struck (n, n) tells whom each would strike; eats `alive`."""
    standing = []
    for i in range(len(alive)):
        if alive[i]:
            standing.append(i)
            alive &= ~struck[i]
    return standing


def _overlaps(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the (n, m) intersection over union of boxes (n, 4) and (m, 4), in single precision throughout."""
    a, b = first[:, None], second[None]
    wide = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    tall = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    inter = np.maximum(wide, 0) * np.maximum(tall, 0)
    union = _areas(first)[:, None] + _areas(second) - inter
    return np.asarray(inter / np.maximum(union, np.float32(1e-12)), np.float32)


def _areas(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)
