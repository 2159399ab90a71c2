"""From five points to the crop of each face: `vultus.geometry.crop_affines` and their inverses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.geometry import POINT_STEPS, template_points
from vultus.spec import InputSpec
from vultus_export.fuse.graph import Graph, Value

__all__ = ["Alignment", "align"]


@dataclass(frozen=True)
class Alignment:
    """Similarities crop -> frame: frame = centre + (crop - middle) @ turn.

    turn: (k, 2, 2). centre: (k, 1, 2), the mean of a face's points. middle: (2,), that of the template.
    cosine, sine: (k, 1), the frame -> crop similarity's first column. scale: (k, 1), crop pixels a frame pixel.
    """

    turn: Value
    centre: Value
    middle: npt.NDArray[np.float64]
    cosine: Value
    sine: Value
    scale: Value

    def to_frame(self, g: Graph, crop: Value) -> Value:
        """Map crop pixels (..., n, 2) of each face to frame pixels (k, n, 2)."""
        return self.centre + (crop - g.constant(self.middle, np.float32)) @ self.turn


def align(g: Graph, points: Value, spec: InputSpec) -> Alignment:
    """Fit the similarity that maps each face's five points (k, 5, 2) onto the template, and invert it.

    Umeyama (1991) in two dimensions, for points rounded to steps; points in one place, or a fit of scale 0, map by
    scale 1: all as in the runtime.
    There must be at least one face, here and in all that follows.
    """
    template = template_points(spec.width)
    middle = template.mean(axis=0)
    target = template - middle
    across = np.stack([target[:, 1], -target[:, 0]], axis=1)
    with g.scope("align"):
        steady = g.op("Round", points * POINT_STEPS) / POINT_STEPS
        centre = g.op("ReduceMean", steady, g.integers(1))
        source = steady - centre
        spread = g.op("Max", _total(g, source * source), 1e-12)
        a, b = (_total(g, source * g.constant(side, np.float32)) / spread for side in (target, across))
        flat = a * a + b * b < 1e-12
        a, b = g.where(flat, 1.0, a), g.where(flat, 0.0, b)
        square = a * a + b * b
        rows = g.op("Concat", a, g.op("Neg", b), b, a, axis=1) / square
        turn = g.op("Reshape", rows, g.integers(-1, 2, 2))
        return Alignment(turn, centre, middle, a, b, g.op("Sqrt", square))


def _total(g: Graph, values: Value) -> Value:
    """Return the sums (k, 1) of (k, 5, 2)."""
    return g.op("Squeeze", g.op("ReduceSum", values, g.integers(1, 2)), g.integers(1))
