"""Affine matrices, similarity fits and boxes.

Frame of reference: x to the right, y down, and a whole number is the centre of a pixel, so the picture's
pixels reach from -0.5 to width - 0.5. An affine is a (2, 3) float64 matrix that maps (x, y, 1) of its source
to (x, y) of its target. Whoever resamples returns the matrix; whoever decodes inverts it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = [
    "FACE_TEMPLATE",
    "POINTS_IN_68",
    "POINT_STEPS",
    "apply_affine",
    "box_iou",
    "boxes_around",
    "crop_affines",
    "fit_size",
    "five_points",
    "invert_affine",
    "letterbox_affine",
    "resized_shape",
    "rotation_of",
    "similarity_from_points",
    "template_points",
]

Array = npt.NDArray[np.float64]

FACE_TEMPLATE: Array = np.array(
    [[0.3656, 0.4190], [0.6344, 0.4190], [0.5000, 0.5720], [0.3890, 0.7270], [0.6110, 0.7270]], np.float64
)
"""Where the five points lie in an aligned crop, as shares of its side: eyes level, chin and brows inside."""

POINT_STEPS = 16.0
"""Steps a pixel that points are rounded to before a face is aligned by them.

A step is far below what a detector's points are good for and far above what processors make of the same sums, so that
two of them cut the same crop, down to its last grey level.
"""

POINTS_IN_68 = ((36, 6), (42, 6), (30, 1), (48, 1), (54, 1))
"""Where the five points lie in iBUG's 68: first landmark and number of those whose mean is the point."""


def template_points(side: int) -> Array:
    """Return the (5, 2) template in pixels of a square crop of `side` pixels."""
    return FACE_TEMPLATE * side - 0.5


def apply_affine(affine: npt.ArrayLike, points: npt.ArrayLike) -> Array:
    """Map points of shape (..., 2) by a (2, 3) affine, or by (n, 2, 3) affines for points (n, ..., 2)."""
    matrix = np.asarray(affine, np.float64)
    values = np.asarray(points, np.float64)
    if matrix.ndim == 3:
        matrix = matrix.reshape(matrix.shape[0], *([1] * (values.ndim - 2)), 2, 3)
    mapped: Array = np.einsum("...ij,...j->...i", matrix[..., :2], values) + matrix[..., 2]
    return mapped


def invert_affine(affine: npt.ArrayLike) -> Array:
    """Return the inverse of affines of shape (..., 2, 3)."""
    matrix = np.asarray(affine, np.float64)
    linear = np.linalg.inv(matrix[..., :2])
    shift = -np.einsum("...ij,...j->...i", linear, matrix[..., 2])
    return np.concatenate([linear, shift[..., None]], axis=-1)


def rotation_of(affine: npt.ArrayLike) -> Array:
    """Return the rotation of similarities (..., 2, 3) in degrees, clockwise on the screen positive."""
    matrix = np.asarray(affine, np.float64)
    return np.asarray(np.degrees(np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0])))


def similarity_from_points(source: npt.ArrayLike, target: npt.ArrayLike) -> Array:
    """Fit the similarities that map source points onto target points with the least squared error.

    source: (n, k, 2). target: (k, 2) or (n, k, 2). Returns (n, 2, 3). The closed form of Umeyama (1991) in
    two dimensions without reflection, written with sums alone so that a CUDA kernel does the same arithmetic.
    Degenerate input (all points in one place, or the fit of scale 0) maps by scale 1.
    """
    src = np.asarray(source, np.float64)
    dst = np.broadcast_to(np.asarray(target, np.float64), src.shape)
    src_mean, dst_mean = src.mean(axis=1), dst.mean(axis=1)
    s, d = src - src_mean[:, None], dst - dst_mean[:, None]
    spread = np.maximum((s * s).sum(axis=(1, 2)), 1e-12)
    a = (s * d).sum(axis=(1, 2)) / spread
    b = (s[..., 0] * d[..., 1] - s[..., 1] * d[..., 0]).sum(axis=1) / spread
    flat = a * a + b * b < 1e-12
    a, b = np.where(flat, 1.0, a), np.where(flat, 0.0, b)
    out = np.empty((len(src), 2, 3), np.float64)
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = a, -b, b, a
    out[:, :, 2] = dst_mean - np.einsum("nij,nj->ni", out[:, :, :2], src_mean)
    return out


def crop_affines(points: npt.ArrayLike, side: int) -> Array:
    """Return the (n, 2, 3) similarities from a frame to the aligned crops of `side` pixels of its faces.

    points: (n, 5, 2), eyes, nose tip and mouth corners in the frame's pixels; rounded to steps, see POINT_STEPS.
    """
    steady = np.rint(np.asarray(points, np.float64) * POINT_STEPS) / POINT_STEPS
    return similarity_from_points(steady, template_points(side))


def fit_size(
    width: int, height: int, budget: tuple[int, int], multiple: int, enlarge: float
) -> tuple[int, int]:
    """Return the network input (width, height) that suits a picture: its aspect ratio, the budget's area.

    Sides are multiples of `multiple`; the picture is never enlarged more than `enlarge` times, and pictures
    longer than 4:1 are treated as 4:1 so that the input stays useful.
    """
    ratio = min(max(width / height, 0.25), 4.0)
    area = budget[0] * budget[1]
    wide = min(math.sqrt(area * ratio), width * enlarge)
    tall = min(math.sqrt(area / ratio), height * enlarge)
    steps = [max(1, round(side / multiple)) for side in (wide, tall)]
    return steps[0] * multiple, steps[1] * multiple


def resized_shape(
    width: int, height: int, target_width: int, target_height: int, enlarge: float
) -> tuple[int, int]:
    """Return the (width, height) of a picture scaled to fit into the target, at least one pixel a side."""
    scale = min(target_width / width, target_height / height, enlarge)
    return (
        min(target_width, max(1, round(width * scale))),
        min(target_height, max(1, round(height * scale))),
    )


def letterbox_affine(width: int, height: int, resized: tuple[int, int]) -> Array:
    """Return the affine from a frame's pixels to those of its copy resized to `resized` (width, height)."""
    sx, sy = resized[0] / width, resized[1] / height
    return np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]], np.float64)


def five_points(landmarks: npt.ArrayLike) -> Array:
    """Return the five points (n, 5, 2), eyes, nose tip, mouth corners, of iBUG's 68 landmarks (n, 68, 2)."""
    marks = np.asarray(landmarks, np.float64)
    return np.stack([marks[:, first : first + count].mean(axis=1) for first, count in POINTS_IN_68], axis=1)


def boxes_around(points: npt.ArrayLike) -> Array:
    """Return the (n, 4) boxes x1, y1, x2, y2 around points (n, k, 2)."""
    values = np.asarray(points, np.float64)
    return np.concatenate([values.min(axis=1), values.max(axis=1)], axis=1)


def box_iou(first: npt.ArrayLike, second: npt.ArrayLike) -> Array:
    """Return the (n, m) intersection over union of boxes (n, 4) and (m, 4) given as x1, y1, x2, y2."""
    a = np.asarray(first, np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inter = np.clip(sides, 0.0, None).prod(axis=-1)
    areas = [np.clip(x[..., 2:] - x[..., :2], 0.0, None).prod(axis=-1) for x in (a, b)]
    union = areas[0] + areas[1] - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0))
