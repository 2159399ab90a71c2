"""Aligned crops of all faces: `vultus.preprocess.crops` in the graph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vultus.preprocess import MAX_SAMPLES
from vultus.spec import InputSpec
from vultus_export.fuse.align import Alignment
from vultus_export.fuse.graph import Graph, Round, Value
from vultus_export.fuse.letterbox import frame_size, normalised

__all__ = ["crops"]


def crops(g: Graph, frame: Value, alignment: Alignment, spec: InputSpec) -> Value:
    """Resample a uint8 BGR frame (H, W, 3) to the normalised crops (k, 3, h, w) of its faces.

    Bilinear at n x n places a pixel, n up to 4 by the size of the face, and averaged; outside of the frame lies
    the mean. Only the part of the frame that a face needs is turned into floats.
    """
    with g.scope("crops"):
        low, high = _windows(g, frame, alignment, spec)
        size = (high - low).cast(np.float32)
        turns, origins = _to_grid(g, alignment, low.cast(np.float32), size)
        first, samples = _sample_rows(g, alignment)
        pixels = g.constant(_pixel_grid(spec) - alignment.middle, np.float32, "crop.pixels")
        places = g.constant(_sample_table(), np.float32, "crop.samples")
        every = g.op("Tile", g.constant(np.eye(2), np.float32), g.integers(1, spec.width * spec.height))
        fill = g.constant(np.rint(_bgr_mean(spec)), np.uint8)
        ones = g.constant(np.ones(3), np.float32)

        nothing = g.constant(np.zeros((1, 3, spec.height, spec.width)), np.float32)

        def crop(face: Value) -> Round:
            turn, origin, start, number, top, bottom = (
                g.op("Gather", value, face, axis=0) for value in (turns, origins, first, samples, low, high)
            )
            centres = g.op("Reshape", pixels @ turn + origin, g.integers(1, -1))
            window = g.op("Slice", frame, _swapped(g, top), _swapped(g, bottom), g.integers(0, 1))
            planes = g.op("Unsqueeze", g.op("Transpose", window, perm=[2, 0, 1]), g.integers(0))
            levels = g.op("DequantizeLinear", planes, ones, fill, dtype=np.float32, axis=1)

            def sample(index: Value, total: Value) -> Round:
                shift = g.op("Gather", places, start + index, axis=0) @ turn
                grid = g.op(
                    "Reshape", g.op("Gemm", shift, every, centres), g.integers(1, spec.height, spec.width, 2)
                )
                sampled = g.op(
                    "GridSample", levels, grid, mode="linear", padding_mode="zeros", align_corners=0
                )
                return Round([total + g.op("Round", sampled)])

            [total] = g.loop(g.op("Squeeze", number), sample, [(nothing, [1, 3, spec.height, spec.width])])
            mean = g.op("Squeeze", total / number.cast(np.float32), g.integers(0))
            return Round(items=[(mean, [3, spec.height, spec.width])])

        [stack] = g.loop(g.op("Squeeze", g.op("Shape", low, dtype=np.int64, end=1)), crop)
        return normalised(g, stack + g.op("Reshape", fill, g.integers(3, 1, 1)).cast(np.float32), spec)


def _to_grid(g: Graph, alignment: Alignment, low: Value, size: Value) -> tuple[Value, Value]:
    """Return (k, 2, 2) and (k, 1, 2): crop pixels from the template's middle to GridSample's -1 ... 1 in a window."""
    pixel = g.op("Unsqueeze", g.op("Div", 2.0, size), g.integers(1))
    corner = g.op("Unsqueeze", low - 0.5, g.integers(1))
    return alignment.turn * pixel, (alignment.centre - corner) * pixel - 1.0


def _windows(g: Graph, frame: Value, alignment: Alignment, spec: InputSpec) -> tuple[Value, Value]:
    """Return the first and one past the last frame pixel (x, y), int64 (k, 2), that each crop may touch."""
    right, bottom = spec.width - 0.5, spec.height - 0.5
    corners = g.constant([[-0.5, -0.5], [right, -0.5], [-0.5, bottom], [right, bottom]], np.float32)
    where = alignment.to_frame(g, corners)
    low, high = (g.op(kind, where, g.integers(1), keepdims=0) for kind in ("ReduceMin", "ReduceMax"))
    size = frame_size(g, frame).cast(np.float32)
    start = g.op("Min", g.op("Max", g.op("Floor", low), 0.0), size - 1.0)
    stop = g.op("Max", g.op("Min", g.op("Floor", high) + 2.0, size), start + 1.0)
    return start.cast(np.int64), stop.cast(np.int64)


def _sample_rows(g: Graph, alignment: Alignment) -> tuple[Value, Value]:
    """Return where the samples for the size of each face begin in the table and their number, int64 (k, 1) each."""
    wanted = g.op("Ceil", g.op("Div", 0.5, g.op("Max", alignment.scale, 1e-6)))
    count = g.op("Clip", wanted, 1.0, float(MAX_SAMPLES)).cast(np.int64)
    before = np.cumsum([n * n for n in range(MAX_SAMPLES)])
    return g.op("Gather", g.constant(before, np.int64), count - 1, axis=0), count * count


def _sample_table() -> npt.NDArray[np.float64]:
    """Return the (x, y) of n x n places within a pixel for n = 1, 2 ... one n after the other."""
    tables = []
    for n in range(1, MAX_SAMPLES + 1):
        steps = (np.arange(n) + 0.5) / n - 0.5
        tables.append(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2))
    return np.concatenate(tables)


def _pixel_grid(spec: InputSpec) -> npt.NDArray[np.float64]:
    """Return the (x, y) of every pixel of a crop: (h * w, 2)."""
    return (
        np.stack(np.meshgrid(np.arange(spec.width), np.arange(spec.height)), axis=-1)
        .reshape(-1, 2)
        .astype(np.float64)
    )


def _bgr_mean(spec: InputSpec) -> tuple[float, ...]:
    return spec.mean if spec.channels == "BGR" else spec.mean[::-1]


def _swapped(g: Graph, pair: Value) -> Value:
    """Return (y, x) of (x, y)."""
    return g.op("Gather", pair, g.integers(1, 0), axis=0)
