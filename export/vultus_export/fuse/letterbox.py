"""The frame to the detector's input: the geometry of `vultus.preprocess.letterbox`, at any size of frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vultus.spec import InputSpec
from vultus_export.fuse.graph import Graph, Value

__all__ = ["Letterbox", "frame_size", "letterbox", "normalised"]


@dataclass(frozen=True)
class Letterbox:
    """The detector's input (1, 3, h, w), and the frame pixels (2,) that one pixel of it is worth in x and y."""

    tensor: Value
    pixel: Value


def frame_size(g: Graph, frame: Value) -> Value:
    """Return the (width, height) of the frame (H, W, 3) as int64 (2,)."""
    return g.op("Gather", g.op("Shape", frame, dtype=np.int64), g.integers(1, 0), axis=0)


def letterbox(g: Graph, frame: Value, spec: InputSpec, size: tuple[int, int] | None) -> Letterbox:
    """Resize a uint8 BGR frame (H, W, 3) into the top left of the input, pad with the mean.

    size: the (width, height) of the input; None takes that which the runtime would take for the frame.
    Sizes are computed in float64, as the runtime does, so that both round the same number.
    """
    with g.scope("letterbox"):
        sides = frame_size(g, frame).cast(np.float64)
        target = g.constant(size, np.float64) if size else _fit_size(g, sides, spec)
        resized = _resized_shape(g, sides, target, spec.enlarge)
        planes = g.op("Transpose", frame, perm=[2, 0, 1]).cast(np.float32)
        whole = resized.cast(np.int64)
        wanted = g.op("Concat", g.integers(1, 3), g.op("Gather", whole, g.integers(1, 0), axis=0), axis=0)
        picture = g.op(
            *("Resize", g.op("Unsqueeze", planes, g.integers(0)), None, None, wanted),
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        missing = g.op("Gather", target.cast(np.int64) - whole, g.integers(1, 0), axis=0)
        pads = g.op("Concat", g.integers(0, 0, 0, 0, 0, 0), missing, axis=0)
        return Letterbox(g.op("Pad", normalised(g, picture, spec), pads), (sides / resized).cast(np.float32))


def normalised(g: Graph, picture: Value, spec: InputSpec) -> Value:
    """Round BGR planes (n, 3, h, w) to whole levels as the runtime does and normalise them as the spec says."""
    planes = g.op("Floor", picture + 0.5)
    if spec.channels == "RGB":
        planes = g.op("Gather", planes, g.integers(2, 1, 0), axis=1)
    scale, mean = np.array(spec.scale), np.array(spec.mean)
    numbers = [g.constant(v, np.float32) for v in (scale, -mean * scale, np.zeros(3), np.ones(3))]
    return g.op("BatchNormalization", planes, *numbers, epsilon=0.0)


def _resized_shape(g: Graph, sides: Value, target: Value, enlarge: float) -> Value:
    """`vultus.geometry.resized_shape` in the graph: float64 (2,) of whole numbers."""
    shares = g.op("ReduceMin", target / sides, g.integers(0))
    share = g.op("Min", shares, g.constant([enlarge], np.float64))
    return g.op("Min", target, g.op("Max", g.op("Round", sides * share), 1.0))


def _fit_size(g: Graph, sides: Value, spec: InputSpec) -> Value:
    """`vultus.geometry.fit_size` in the graph: float64 (2,) of whole numbers."""
    width, height = g.ops("Split", (None, None), sides, axis=0, num_outputs=2)
    ratio = g.op("Clip", width / height, 0.25, 4.0)
    area = g.constant([spec.width * spec.height], np.float64)
    ideal = g.op("Sqrt", g.op("Concat", area * ratio, area / ratio, axis=0))
    steps = g.op("Round", g.op("Min", ideal, sides * spec.enlarge) / spec.multiple)
    return g.op("Max", steps, 1.0) * spec.multiple
