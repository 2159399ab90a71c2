"""Greedy suppression of overlapping boxes, one kept face a round: `vultus.decode.nms` in the graph."""

from __future__ import annotations

import numpy as np

from vultus_export.fuse.graph import Graph, Round, Value

__all__ = ["suppress"]


def suppress(g: Graph, boxes: Value, iou: float, most: int) -> Value:
    """Return the places (k,) of the boxes that survive, at most `most` of them.

    boxes: (c, 4), best first. Each round keeps the first box that stands and fells what overlaps it by more than
    `iou`, so there are as many rounds as faces, and the survivors are exactly those of the runtime.
    """
    with g.scope("suppress"):
        low, high = g.ops("Split", (None, None), boxes, axis=1, num_outputs=2)
        areas = _area(g, high - low)
        count = g.op("Shape", boxes, dtype=np.int64, end=1)
        places = g.op("Range", g.constant(0, np.int64), g.op("Squeeze", count), g.constant(1, np.int64))

        def keep_one(_: Value, standing: Value) -> Round:
            first = g.op("ArgMax", standing.cast(np.float32), dtype=np.int64, axis=0)
            best_low, best_high, area = (g.op("Gather", value, first, axis=0) for value in (low, high, areas))
            inter = _area(g, g.op("Min", best_high, high) - g.op("Max", best_low, low))
            share = inter / g.op("Max", area + areas - inter, 1e-12)
            left = standing & (places > first) & (share <= iou)
            return Round([left], [(first, [1])], _any(g, left))

        rounds = g.constant(most, np.int64)
        _, kept = g.loop(rounds, keep_one, [(places >= 0, [None])], g.op("Squeeze", count > 0))
        return g.op("Squeeze", kept, g.integers(1))


def _area(g: Graph, sides: Value) -> Value:
    return g.op("ReduceProd", g.op("Max", sides, 0.0), g.integers(1), keepdims=0)


def _any(g: Graph, flags: Value) -> Value:
    return g.op("ReduceMax", flags.cast(np.float32), keepdims=0).cast(bool)
