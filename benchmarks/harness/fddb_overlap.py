"""Overlap of rectangles with ellipses inside a picture, by exact areas.

An affine map makes a unit circle of an ellipse and a parallelogram of a rectangle. What circle and parallelogram share
is a signed sum over the sides: the sectors and the triangle that each spans with the circle's centre. So nothing is
rasterised, and a face of ten pixels is measured as well as one of a thousand.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["clipped", "overlap_ratios", "shared_areas"]

Array = npt.NDArray[np.float64]

ROUNDING = 1e-9
"""Areas below this, of a unit circle's, are left over from sums that should be nothing."""


def overlap_ratios(
    boxes: npt.NDArray[np.floating], ellipses: npt.NDArray[np.floating], size: tuple[int, int]
) -> Array:
    """Return the (n, m) intersection over union of boxes (n, 4) and ellipses (m, 5) within a picture.

    boxes: x, y, width, height. ellipses: as `Truth` holds them. size: width and height of the picture; what of either
    region lies outside of it does not count. All in pixels from the picture's upper left corner. A region that lies
    outside whole overlaps nothing.
    """
    seen = clipped(boxes, size)
    inter = shared_areas(seen, ellipses)
    whole = shared_areas(np.array([[0.0, 0.0, *size]]), ellipses)
    union = seen[:, 2:].prod(axis=1)[:, None] + whole - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0))


def clipped(boxes: npt.NDArray[np.floating], size: tuple[int, int]) -> Array:
    """Return the part of boxes (n, 4) x, y, width, height inside a picture of a width and height."""
    values = np.asarray(boxes, np.float64).reshape(-1, 4)
    near, far = (np.clip(side, 0, size) for side in (values[:, :2], values[:, :2] + values[:, 2:]))
    return np.concatenate([near, far - near], axis=1)


def shared_areas(boxes: npt.NDArray[np.floating], ellipses: npt.NDArray[np.floating]) -> Array:
    """Return the (n, m) areas that boxes (n, 4) x, y, width, height and ellipses (m, 5) share."""
    values = np.asarray(boxes, np.float64).reshape(-1, 1, 4)
    radii, angle, centre = np.split(np.asarray(ellipses, np.float64).reshape(1, -1, 5), [2, 3], axis=2)
    steps = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    corners = values[:, :, None, :2] + values[:, :, None, 2:] * steps - centre[:, :, None]
    x, y, cos, sin = corners[..., 0], corners[..., 1], np.cos(angle), np.sin(angle)
    seen = np.stack([x * cos + y * sin, y * cos - x * sin], axis=3) / radii[:, :, None]
    parts = _spanned(seen, np.roll(seen, -1, axis=2)).sum(axis=2)
    return np.asarray(np.where(parts > ROUNDING, parts, 0.0) * radii.prod(axis=2))


def _spanned(start: Array, end: Array) -> Array:
    """Return the signed area (...) that sides (..., 2) from start to end span with the unit circle's centre in it."""
    way = end - start
    a, b, c = _dot(way, way), _dot(start, way), _dot(start, start) - 1
    inside = b * b - a * c
    crossed = (inside > 0) & (a > 0)
    root, length = np.sqrt(np.where(crossed, inside, 0.0)), np.where(crossed, a, 1.0)
    shares = [np.where(crossed, np.clip((sign * root - b) / length, 0, 1), 0.0) for sign in (-1, 1)]
    # Between the two shares of the way the side lies inside: a triangle. Before and after it is outside: sectors.
    enter, leave = (start + share[..., None] * way for share in shares)
    return np.asarray((_turn(start, enter) + _cross(enter, leave) + _turn(leave, end)) / 2)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(axis=-1))


def _cross(a: Array, b: Array) -> Array:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _turn(a: Array, b: Array) -> Array:
    """Return the signed angle from direction a to direction b in radians."""
    return np.arctan2(_cross(a, b), _dot(a, b))
