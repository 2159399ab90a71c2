"""YuNet's outputs to FACE records (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector").

Four outputs a stride, with a row of numbers for each cell, cells by row, then column: `cls` and `obj`,
probabilities whose geometric mean is the score; `bbox`, the box's centre from the cell's corner and the logarithms
of its sides, in strides; `kps`, the five points from the cell's corner in strides, in picture order. YuNet counts
pixels from their corners, so half a pixel is taken off. The spec lists the four in this order for each stride.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vultus.decode.candidates import (
    Shape,
    best_first,
    detector_of,
    faces_of,
    level_groups,
    output_of,
    sides_of,
)
from vultus.spec import AnchorLevel, ModelSpec
from vultus.types import FaceArray

__all__ = ["PARTS", "decode", "map_shapes"]

PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
"""What the outputs of one stride hold, in the spec's order, and the numbers a cell of each."""

Array = npt.NDArray[np.float32]


def map_shapes(spec: ModelSpec, batch: int, height: int, width: int) -> dict[str, Shape]:
    """Return the shape of each output for an input (batch, 3, height, width).

    Raises SpecError when the spec is of no detector or its levels are not four a stride.
    """
    return {
        level.output: (batch, (height // level.stride) * (width // level.stride), count)
        for group in level_groups(detector_of(spec), PARTS)
        for level, count in zip(group, PARTS.values(), strict=True)
    }


def decode(
    outputs: Mapping[str, npt.NDArray[np.floating]],
    index: int,
    spec: ModelSpec,
    affine: npt.ArrayLike,
    min_score: float,
    size: tuple[int, int] | None = None,
) -> FaceArray:
    """Return the faces of picture `index` of a batch in frame pixels, best score first.

    outputs: (batch, cells, numbers) each. affine: (2, 3) frame -> network input. size: (width, height) of the
    network input, from which rows and columns are known; the spec's nominal one by default. Cells with a number
    that is not finite are dropped. Fields that a detector does not measure are NaN.
    Raises SpecError when the spec does not suit this decoder, ModelError when an output is missing or misshapen.
    """
    detector = detector_of(spec)
    width, height = size or (spec.input.width, spec.input.height)
    shapes = map_shapes(spec, 1, height, width)
    parts = []
    for group in level_groups(detector, PARTS):
        maps = [
            output_of(outputs, index, level.output, shapes[level.output][1:], spec.name) for level in group
        ]
        parts.append(_level_faces(maps, group[0], width // group[0].stride, min_score))
    boxes, points, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    best = best_first(scores, detector)
    return faces_of(boxes[best], points[best], scores[best], detector, affine)


def _level_faces(
    maps: list[npt.NDArray[np.floating]], level: AnchorLevel, columns: int, min_score: float
) -> tuple[Array, Array, Array]:
    """Return boxes (k, 4), points (k, 5, 2) and scores (k,) of one stride's cells that reach the score."""
    sure = [np.clip(part[:, 0].astype(np.float32), 0, 1) for part in maps[:2]]
    scores = np.sqrt(sure[0] * sure[1])
    at = np.flatnonzero(scores >= min_score)
    values = np.concatenate([part[at] for part in maps], axis=1).astype(np.float32)
    finite = np.isfinite(values).all(axis=1)
    at, values = at[finite], values[finite, 2:]
    cells = np.stack([at % columns, at // columns], axis=1).astype(np.float32)
    stride = np.float32(level.stride)
    centre = (cells + values[:, :2]) * stride - np.float32(0.5)
    half = sides_of(values[:, 2:4], level.stride) / 2
    points = (cells[:, None] + values[:, 4:].reshape(-1, 5, 2)) * stride - np.float32(0.5)
    return np.concatenate([centre - half, centre + half], axis=1), points, scores[at]
