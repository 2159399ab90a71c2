"""Raw maps of an anchor detector to candidate faces: `vultus.decode.anchors` in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vultus.decode.anchors import (
    CANDIDATES_PER_FACE,
    LARGEST_LOG_RATIO,
    VALUES,
    anchors_per_cell,
    cell_offsets,
)
from vultus.spec import AnchorLevel, DetectorSpec
from vultus_export.fuse.graph import Graph, Value

__all__ = ["Candidates", "candidates"]


@dataclass(frozen=True)
class Candidates:
    """Faces in pixels of the detector's input, best first: logits (c,), boxes (c, 4), points (c, 5, 2)."""

    logits: Value
    boxes: Value
    points: Value


def candidates(g: Graph, maps: Mapping[str, Value], detector: DetectorSpec, logit: float) -> Candidates:
    """Return the anchors whose logit reaches `logit` and whose numbers are all finite.

    maps: (1, A * 15, rows, columns) by output name. As in the runtime, the best ones stay when there are too many.
    """
    with g.scope("boxes"):
        levels = [_level(g, maps[level.output], level, logit) for level in detector.levels]
        values, anchors = (g.op("Concat", *parts, axis=0) for parts in zip(*levels, strict=True))
        finite = g.op("ReduceMin", _finite(g, values).cast(np.float32), g.integers(1), keepdims=0).cast(bool)
        values, anchors = (g.op("Compress", part, finite, axis=0) for part in (values, anchors))
        values, anchors = _best(g, values, anchors, detector.max_faces * CANDIDATES_PER_FACE)
        return _decoded(g, values, anchors, detector.variances)


def _level(g: Graph, raw: Value, level: AnchorLevel, logit: float) -> tuple[Value, Value]:
    """Return values (c, 15) and anchors (c, 3) of one level, in the order of the map."""
    maps = g.op("Reshape", raw, g.integers(anchors_per_cell(level), VALUES, 0, 0))
    logits = g.op("Gather", maps, g.constant(0, np.int64), axis=1)
    where = g.op("NonZero", logits >= logit, dtype=np.int64)
    which, row, column = g.ops(
        "Split", (None,) * 3, g.op("Transpose", where, perm=[1, 0]), axis=1, num_outputs=3
    )
    rows, columns = (g.op("Shape", maps, dtype=np.int64, start=axis, end=axis + 1) for axis in (2, 3))
    number = which * VALUES + g.constant(np.arange(VALUES)[None], np.int64)
    values = g.op("Gather", g.op("Reshape", maps, g.integers(-1)), (number * rows + row) * columns + column)
    offsets = g.constant(cell_offsets(level), np.float32, f"{level.output}.anchors")
    cells = g.op("Concat", column, row, g.op("Mul", row, 0), axis=1).cast(np.float32)
    own = g.op("Gather", offsets, g.op("Squeeze", which, g.integers(1)), axis=0)
    return values, own + cells * level.stride


def _finite(g: Graph, values: Value) -> Value:
    """Say which elements are finite: a number minus itself is 0, anything else is NaN."""
    return g.op("Equal", values - values, 0.0, dtype=bool)


def _best(g: Graph, values: Value, anchors: Value, most: int) -> tuple[Value, Value]:
    logits = g.op("Gather", values, g.constant(0, np.int64), axis=1)
    count = g.op("Min", g.op("Shape", logits, dtype=np.int64), most)
    _, order = g.ops("TopK", (None, np.int64), logits, count, axis=0)
    return g.op("Gather", values, order, axis=0), g.op("Gather", anchors, order, axis=0)


def _decoded(g: Graph, values: Value, anchors: Value, variances: tuple[float, float]) -> Candidates:
    logits, shift, log_sides, spots = g.ops("Split", (None,) * 4, values, g.integers(1, 2, 2, 10), axis=1)
    centre, side = g.ops("Split", (None,) * 2, anchors, g.integers(2, 1), axis=1)
    reach = side * variances[0]
    middle = centre + shift * reach
    ratio = g.op("Clip", log_sides * variances[1], -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
    half = side * g.op("Exp", ratio) / 2.0
    at, far = (g.op("Unsqueeze", value, g.integers(1)) for value in (centre, reach))
    points = at + g.op("Reshape", spots, g.integers(-1, 5, 2)) * far
    boxes = g.op("Concat", middle - half, middle + half, axis=1)
    return Candidates(g.op("Squeeze", logits, g.integers(1)), boxes, points)
