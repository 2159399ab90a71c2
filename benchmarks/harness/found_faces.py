"""Found faces of one picture as benchmarks exchange them: boxes from the picture's corner, best score first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["NOTHING", "Found", "best_first", "found_lines", "official_boxes"]

Array = npt.NDArray[np.float64]
Found = tuple[Array, Array]
"""Boxes (n, 4) as x, y, width, height in pixels, and scores (n,), best first."""

NOTHING: Found = np.empty((0, 4)), np.empty(0)


def official_boxes(boxes: npt.NDArray[np.floating]) -> Array:
    """Return boxes (n, 4) x1, y1, x2, y2 of the runtime, whole numbers being centres of pixels, as x, y, w, h."""
    values = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([values[:, :2] + 0.5, values[:, 2:] - values[:, :2]], axis=1)


def found_lines(found: Found) -> list[str]:
    """Return `x y width height score` of each face, boxes to a hundredth of a pixel, best score first."""
    boxes, scores = found
    return [
        f"{' '.join(f'{value:.2f}' for value in boxes[place])} {scores[place]:.6f}"
        for place in np.argsort(-scores, kind="stable")
    ]


def best_first(rows: Array) -> Found:
    """Return rows (n, 5) of x, y, width, height, score in any order as found faces."""
    values = rows[np.argsort(-rows[:, 4], kind="stable")]
    return values[:, :4], values[:, 4]
