"""CenterFace's maps to FACE records (Xu et al. 2019, "CenterFace: Joint Face Detection and Alignment ...").

Four maps of one stride: `heatmap`, the probability that a face's centre lies in the cell; `scale`, the logarithms
of height and width in strides; `offset`, y and x of the centre from the cell's middle in strides; `landmarks`, y
and x of the five points from the box's top left corner as shares of its height and width, in picture order.
CenterFace counts pixels from their corners, so half a pixel is taken off. The spec lists the four in this order.
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
from vultus.spec import ModelSpec
from vultus.types import FaceArray

__all__ = ["PARTS", "decode", "map_shapes"]

PARTS = {"heatmap": 1, "scale": 2, "offset": 2, "landmarks": 10}
"""What the maps of one stride hold, in the spec's order, and their channels."""

Array = npt.NDArray[np.float32]


def map_shapes(spec: ModelSpec, batch: int, height: int, width: int) -> dict[str, Shape]:
    """Return the shape of each map for an input (batch, 3, height, width).

    Raises SpecError when the spec is of no detector or its levels are not four a stride.
    """
    return {
        level.output: (batch, count, height // level.stride, width // level.stride)
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

    outputs: (batch, channels, rows, columns) each. affine: (2, 3) frame -> network input. size: (width, height) of
    the network input, which these maps tell by themselves. Cells with a number that is not finite are dropped.
    Fields that a detector does not measure are NaN.
    Raises SpecError when the spec does not suit this decoder, ModelError when a map is missing or misshapen.
    """
    detector = detector_of(spec)
    parts = []
    for group in level_groups(detector, PARTS):
        shape: tuple[int | str, ...] = ("rows", "columns")
        maps: list[npt.NDArray[np.floating]] = []
        for level, count in zip(group, PARTS.values(), strict=True):
            maps.append(output_of(outputs, index, level.output, (count, *shape), spec.name))
            shape = maps[0].shape[1:]
        parts.append(_level_faces(maps, group[0].stride, min_score))
    boxes, points, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    best = best_first(scores, detector)
    return faces_of(boxes[best], points[best], scores[best], detector, affine)


def _level_faces(
    maps: list[npt.NDArray[np.floating]], stride: int, min_score: float
) -> tuple[Array, Array, Array]:
    """Return boxes (k, 4), points (k, 5, 2) and scores (k,) of one stride's cells that reach the score."""
    row, column = np.nonzero(maps[0][0] >= min_score)
    values = np.concatenate([part[:, row, column] for part in maps]).T.astype(np.float32)
    finite = np.isfinite(values).all(axis=1)
    values = values[finite]
    cells = np.stack([column[finite], row[finite]], axis=1).astype(np.float32)
    sides = sides_of(values[:, 2:0:-1], stride)
    centre = (cells + values[:, 4:2:-1] + np.float32(0.5)) * np.float32(stride) - np.float32(0.5)
    corner = centre - sides / 2
    points = corner[:, None] + values[:, 5:].reshape(-1, 5, 2)[..., ::-1] * sides[:, None]
    return np.concatenate([corner, corner + sides], axis=1), points, values[:, 0]
