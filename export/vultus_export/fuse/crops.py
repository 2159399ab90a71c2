"""Aligned crops of all faces: `vultus.preprocess.crops` in the graph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vultus.preprocess import MAX_HALVINGS
from vultus.spec import InputSpec
from vultus_export.fuse.align import Alignment
from vultus_export.fuse.graph import Graph, Round, Value
from vultus_export.fuse.letterbox import frame_size, normalised

__all__ = ["crops"]


def crops(g: Graph, frame: Value, alignment: Alignment, spec: InputSpec) -> Value:
    """Resample a uint8 BGR frame (H, W, 3) to the normalised crops (k, 3, h, w) of its faces.

    Bilinear, from the frame halved up to three times by the size of the face; outside of the frame lies the mean.
    Only the part of the frame that a face needs is turned into floats.
    """
    with g.scope("crops"):
        halvings = _halvings(g, alignment.scale)
        steps = g.op("Pow", 2.0, halvings.cast(np.float32))
        low, high = _windows(g, frame, alignment, spec, steps)
        size = g.op("Ceil", (high - low).cast(np.float32) / steps) * steps
        turns, origins = _to_grid(g, alignment, low.cast(np.float32), size)
        pixels = g.constant(_pixel_grid(spec) - alignment.middle, np.float32, "crop.pixels")
        fill = g.constant(np.rint(_bgr_mean(spec)), np.uint8)
        ones = g.constant(np.ones(3), np.float32)

        def crop(face: Value) -> Round:
            turn, origin, times, top, bottom = (
                g.op("Gather", value, face, axis=0) for value in (turns, origins, halvings, low, high)
            )
            window = g.op("Slice", frame, _swapped(g, top), _swapped(g, bottom), g.integers(0, 1))
            planes = g.op("Unsqueeze", g.op("Transpose", window, perm=[2, 0, 1]), g.integers(0))
            levels = g.op("DequantizeLinear", planes, ones, fill, dtype=np.float32, axis=1)
            [half] = g.loop(
                g.op("Squeeze", times),
                lambda index, finer: Round([_halved(g, finer)]),
                [(levels, [1, 3, None, None])],
            )
            grid = g.op("Reshape", pixels @ turn + origin, g.integers(1, spec.height, spec.width, 2))
            sampled = g.op("GridSample", half, grid, mode="linear", padding_mode="zeros", align_corners=0)
            whole = g.op("Squeeze", g.op("Round", sampled), g.integers(0))
            return Round(items=[(whole, [3, spec.height, spec.width])])

        [stack] = g.loop(g.op("Squeeze", g.op("Shape", low, dtype=np.int64, end=1)), crop)
        return normalised(g, stack + g.op("Reshape", fill, g.integers(3, 1, 1)).cast(np.float32), spec)


def _halvings(g: Graph, scale: Value) -> Value:
    """Return how often the frame is halved for faces of these scales (k, 1), int64."""
    limits = g.constant(0.5 ** np.arange(1, MAX_HALVINGS + 1), np.float32)
    smaller = (scale < limits) & (scale > 1e-6)
    return g.op("ReduceSum", smaller.cast(np.int64), g.integers(1))


def _halved(g: Graph, levels: Value) -> Value:
    """Return the means of 2 x 2 whole levels (1, 3, h, w), halves rounded up; an odd side's last pixel counts twice."""
    size = g.op("Shape", levels, dtype=np.int64, start=2)
    odd = g.op("Mod", size, g.integers(2))
    pads = g.op("Concat", g.integers(0, 0, 0, 0, 0, 0), odd, axis=0)
    even = g.op("Pad", levels, pads, mode="edge")
    return g.op("Floor", g.op("AveragePool", even, kernel_shape=[2, 2], strides=[2, 2]) + 0.5)


def _to_grid(g: Graph, alignment: Alignment, low: Value, size: Value) -> tuple[Value, Value]:
    """Return (k, 2, 2) and (k, 1, 2): crop pixels from the template's middle to GridSample's -1 ... 1 in a window.

    low, size: (k, 2), the window's first frame pixel and its size in frame pixels.
    """
    pixel = g.op("Unsqueeze", g.op("Div", 2.0, size), g.integers(1))
    corner = g.op("Unsqueeze", low - 0.5, g.integers(1))
    return alignment.turn * pixel, (alignment.centre - corner) * pixel - 1.0


def _windows(
    g: Graph, frame: Value, alignment: Alignment, spec: InputSpec, steps: Value
) -> tuple[Value, Value]:
    """Return the first and one past the last frame pixel (x, y), int64 (k, 2), that each crop may touch.

    The first is a whole number of steps (k, 1); so is the last but for the frame's end.
    """
    right, bottom = spec.width - 0.5, spec.height - 0.5
    corners = g.constant([[-0.5, -0.5], [right, -0.5], [-0.5, bottom], [right, bottom]], np.float32)
    where = alignment.to_frame(g, corners)
    low, high = (g.op(kind, where, g.integers(1), keepdims=0) for kind in ("ReduceMin", "ReduceMax"))
    size = frame_size(g, frame).cast(np.float32)
    most = g.op("Ceil", size / steps)
    start = g.op("Min", g.op("Max", g.op("Floor", low / steps) - 1.0, 0.0), most - 1.0)
    stop = g.op("Max", g.op("Min", g.op("Ceil", high / steps) + 2.0, most), start + 1.0)
    return (start * steps).cast(np.int64), g.op("Min", stop * steps, size).cast(np.int64)


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
