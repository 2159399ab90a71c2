"""The arithmetic between the networks of MTCNN (Zhang et al. 2016): windows, moves, squares, suppression.

Inside the cascade a box is x1, y1, x2, y2 of its first and last pixel, counted from 1, as the networks were trained;
`frame_boxes` turns that into the runtime's frame of reference. All arrays are float32.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vultus.decode.candidates import output_of

__all__ = [
    "PARTS",
    "WINDOW",
    "crop_ranges",
    "frame_boxes",
    "frame_points",
    "moved",
    "pyramid_scales",
    "sigmoid",
    "squared",
    "suppress_inside",
    "windows",
]

Array = npt.NDArray[np.float32]

PARTS = ("logit", "box")
"""What the maps of the first network hold, in the order of its spec's levels: 1 and 4 channels."""

WINDOW, STRIDE = 12, 2


def pyramid_scales(width: int, height: int, smallest: int, factor: float) -> list[float]:
    """Return the scales at which a picture is looked at: the smallest face fits the window, then ever larger ones."""
    scales = [WINDOW / smallest]
    side = min(width, height) * scales[0]
    if side < WINDOW:
        return []
    while (side := side * factor) >= WINDOW:
        scales.append(scales[-1] * factor)
    return scales


def windows(
    outputs: Mapping[str, npt.NDArray[np.floating]],
    names: tuple[str, str],
    model: str,
    scale: float,
    min_score: float,
) -> tuple[Array, Array, Array]:
    """Return boxes (k, 4), scores (k,) and moves (k, 4) of one level's windows that reach the score.

    outputs: `names` are those of the logit (1, 1, rows, columns) and of the moves (1, 4, rows, columns).
    Raises ModelError when one is missing or misshapen.
    """
    logits = output_of(outputs, 0, names[0], (1, "rows", "columns"), model)
    moves = output_of(outputs, 0, names[1], (4, *logits.shape[1:]), model)
    scores = sigmoid(logits[0])
    row, column = np.nonzero(scores >= np.float32(min_score))
    corner = np.stack([column, row], axis=1).astype(np.float32) * STRIDE
    first = np.floor((corner + 1) / np.float32(scale))
    last = np.floor((corner + WINDOW) / np.float32(scale))
    return np.concatenate([first, last], axis=1), scores[row, column], moves[:, row, column].T.copy()


def sigmoid(logits: npt.NDArray[np.floating]) -> Array:
    """Return probabilities of logits; NaN stays NaN, which reaches no score."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float32), -80, 80))), np.float32)


def moved(boxes: Array, moves: Array, whole: int = 1) -> Array:
    """Return boxes (k, 4) with each edge moved by a share (k, 4) of the side that it bounds.

    whole: 1 where a side counts both its end pixels; proposals were trained with their difference, which is 0.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + np.float32(whole)
    return np.asarray(boxes + moves * np.tile(sides, 2), np.float32)


def squared(boxes: Array) -> Array:
    """Return the squares of the same centres whose side is the larger one of each box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.max(axis=1, keepdims=True)
    first = boxes[:, :2] + sides * np.float32(0.5) - side * np.float32(0.5)
    return np.concatenate([first, first + side], axis=1)


def crop_ranges(boxes: Array, width: int, height: int) -> npt.NDArray[np.intp]:
    """Return first column and row, and those past the last, of what boxes (k, 4) cover of a picture: (k, 4).

    A range of a box outside of the picture is empty: its first column or row is not before the one past the last.
    """
    whole = np.trunc(boxes.astype(np.float64))
    first = np.clip(whole[:, :2], 1, (width + 1, height + 1)) - 1
    past = np.clip(whole[:, 2:], 0, (width, height))
    return np.concatenate([first, past], axis=1).astype(np.intp)


def suppress_inside(boxes: Array, scores: Array, share: float) -> npt.NDArray[np.intp]:
    """Return the indices of boxes that survive, best first: one falls if a better one holds `share` of the smaller.

    The intersection is taken as a share of the smaller of the two boxes, so that a face within a face falls, which
    their intersection over union would spare.
    """
    order = np.argsort(-scores, kind="stable")
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2] + 1, 0)
    areas = sides[:, 0] * sides[:, 1]
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        common = (
            np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2]) + 1
        )
        inter = np.maximum(common, 0).prod(axis=1)
        order = rest[inter <= share * np.minimum(areas[best], areas[rest])]
    return np.array(kept, np.intp)


def frame_boxes(boxes: Array) -> Array:
    """Return boxes (k, 4) in frame pixels, a whole number being the centre of a pixel."""
    return boxes + np.array([-1.5, -1.5, -0.5, -0.5], np.float32)


def frame_points(boxes: Array, points: npt.NDArray[np.floating]) -> Array:
    """Return points (k, 5, 2) in frame pixels of shares (k, 10) of boxes (k, 4) from their top left corners."""
    sides = boxes[:, None, 2:] - boxes[:, None, :2] + 1
    return np.asarray(points.reshape(-1, 5, 2) * sides + boxes[:, None, :2] - 1, np.float32)
