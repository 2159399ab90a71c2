"""Raw maps of an anchor detector to FACE records, and the encoding that training teaches.

An anchor is (x, y, size): its centre in input pixels (a whole number is the centre of a pixel) and its side.
Within a cell anchors go by size, then row, then column of the densified grid of FaceBoxes (Zhang et al. 2017).
A face is 15 numbers for an anchor: the logit, then (x - ax) / (v0 size), (y - ay) / (v0 size), log(w / size) / v1,
log(h / size) / v1, then the five points as (x - ax) / (v0 size), (y - ay) / (v0 size), with v the variances of SSD
(Liu et al. 2016).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vultus.decode.candidates import CANDIDATES_PER_FACE, best_first, detector_of, faces_of, output_of
from vultus.spec import AnchorLevel, ModelSpec
from vultus.types import FaceArray

__all__ = [
    "CANDIDATES_PER_FACE",
    "VALUES",
    "anchor_grid",
    "anchors_per_cell",
    "cell_offsets",
    "decode",
    "decode_values",
    "encode_values",
    "logit_of",
]

VALUES = 15
"""Numbers a face for each anchor: logit, 4 of the box, 10 of the points."""

LARGEST_LOG_RATIO = math.log(1000 / 16)

Array = npt.NDArray[np.float32]


def anchors_per_cell(level: AnchorLevel) -> int:
    """Return how many anchors lie in one cell of a level."""
    return sum(density * density for density in level.densities)


def cell_offsets(level: AnchorLevel) -> Array:
    """Return (A, 3): centre x, y within the cell at column 0, row 0, and the side, of a cell's anchors."""
    rows = [
        ((j + 0.5) / density * level.stride - 0.5, (i + 0.5) / density * level.stride - 0.5, size)
        for size, density in zip(level.sizes, level.densities, strict=True)
        for i in range(density)
        for j in range(density)
    ]
    return np.array(rows, np.float32).reshape(-1, 3)


def anchor_grid(level: AnchorLevel, rows: int, columns: int) -> Array:
    """Return (A, rows, columns, 3): every anchor of a level, in the order of its output map."""
    grid = np.empty((anchors_per_cell(level), rows, columns, 3), np.float32)
    grid[...] = cell_offsets(level)[:, None, None]
    grid[..., 0] += np.arange(columns, dtype=np.float32) * level.stride
    grid[..., 1] += np.arange(rows, dtype=np.float32)[:, None] * level.stride
    return grid


def encode_values(
    boxes: npt.ArrayLike, points: npt.ArrayLike, anchors: npt.ArrayLike, variances: tuple[float, float]
) -> Array:
    """Return (n, 14) that decode to boxes (n, 4) and points (n, 5, 2) at anchors (n, 3); NaN points stay NaN."""
    b, p, a = (np.asarray(v, np.float64) for v in (boxes, points, anchors))
    reach = variances[0] * a[:, 2:]
    centre = ((b[:, :2] + b[:, 2:]) / 2 - a[:, :2]) / reach
    sides = np.log(np.maximum(b[:, 2:] - b[:, :2], 1e-6) / a[:, 2:]) / variances[1]
    spots = (p - a[:, None, :2]) / reach[:, None]
    return np.concatenate([centre, sides, spots.reshape(len(b), 10)], axis=1).astype(np.float32)


def decode_values(
    values: npt.ArrayLike, anchors: npt.ArrayLike, variances: tuple[float, float]
) -> tuple[Array, Array]:
    """Return boxes (n, 4) and points (n, 5, 2) in input pixels of values (n, 14) at anchors (n, 3)."""
    v, a = np.asarray(values, np.float32), np.asarray(anchors, np.float32)
    reach = np.float32(variances[0]) * a[:, 2:]
    centre = a[:, :2] + v[:, :2] * reach
    log_ratio = np.clip(v[:, 2:4] * np.float32(variances[1]), -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
    half = a[:, 2:] * np.exp(log_ratio) / 2
    points = a[:, None, :2] + v[:, 4:].reshape(-1, 5, 2) * reach[:, None]
    return np.concatenate([centre - half, centre + half], axis=1), points


def decode(
    outputs: Mapping[str, npt.NDArray[np.floating]],
    index: int,
    spec: ModelSpec,
    affine: npt.ArrayLike,
    min_score: float,
    size: tuple[int, int] | None = None,
) -> FaceArray:
    """Return the faces of picture `index` of a batch in frame pixels, best score first.

    outputs: (batch, A * 15, rows, columns) a level. affine: (2, 3) frame -> network input. size: (width, height)
    of the network input, which these maps tell by themselves. Only anchors whose logit reaches that of
    `min_score` are looked at; those with a number that is not finite are dropped, so a broken output can hide
    faces and never invents them. Fields that a detector does not measure are NaN.
    Raises SpecError when the spec is of no detector, ModelError when an output is missing or misshapen.
    """
    detector = detector_of(spec)
    parts = [_level_values(outputs, index, level, spec.name, min_score) for level in detector.levels]
    values, anchors = (np.concatenate(part) for part in zip(*parts, strict=True))
    best = best_first(values[:, 0], detector)
    values, anchors = values[best], anchors[best]
    boxes, points = decode_values(values[:, 1:], anchors, detector.variances)
    scores = 1 / (1 + np.exp(-np.clip(values[:, 0].astype(np.float64), -80, 80)))
    return faces_of(boxes, points, scores, detector, affine)


def _level_values(
    outputs: Mapping[str, npt.NDArray[np.floating]],
    index: int,
    level: AnchorLevel,
    name: str,
    min_score: float,
) -> tuple[Array, Array]:
    """Return values (k, 15) and anchors (k, 3) of one level's anchors that reach the score."""
    count = anchors_per_cell(level)
    raw = output_of(outputs, index, level.output, (count * VALUES, "rows", "columns"), name)
    maps = raw.reshape(count, VALUES, *raw.shape[1:])
    which, row, column = np.nonzero(maps[:, 0] >= logit_of(min_score))
    values = maps[which, :, row, column].astype(np.float32)
    anchors = cell_offsets(level)[which]
    anchors[:, 0] += column * np.float32(level.stride)
    anchors[:, 1] += row * np.float32(level.stride)
    finite = np.isfinite(values).all(axis=1)
    return values[finite], anchors[finite]


def logit_of(score: float) -> float:
    """Return the logit of a score; the ends of 0-1 let everything and nothing through."""
    if score <= 0.0:
        return -math.inf
    return math.inf if score >= 1.0 else math.log(score) - math.log1p(-score)
