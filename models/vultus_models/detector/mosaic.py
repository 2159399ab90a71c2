"""Training pictures made of several: tiles of a random grid, each a cut from one picture at a random scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from vultus_models.detector.labels import Labels
from vultus_models.teachers.fuse import mirrored_points

__all__ = ["Canvas", "Draw", "compose", "cut", "focus_of", "joined", "mirrored", "window_of"]

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator], tuple[Pixels, Labels]]
"""Draws one picture with its labels."""

GRIDS, GRID_SHARES = (1, 2, 3, 4), (0.5, 0.3, 0.14, 0.06)
SMALLEST_FACE = 8.0
VISIBLE, GLIMPSED = 0.6, 0.1
MOST_ENLARGED = 2.5
ROTATED_SHARE, MOST_DEGREES = 0.25, 25.0


@dataclass(frozen=True)
class Canvas:
    """A picture under construction with its labels."""

    pixels: Pixels
    labels: Labels


def compose(rng: np.random.Generator, draw: Draw, side: int) -> Canvas:
    """Make one square training picture of a random grid of tiles with uneven borders."""
    grid = int(rng.choice(GRIDS, p=GRID_SHARES))
    pixels = np.empty((side, side, 3), np.uint8)
    xs, ys = _borders(rng, grid, side), _borders(rng, grid, side)
    parts = []
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            tile = _tile(rng, draw, right - left, bottom - top)
            pixels[top:bottom, left:right] = tile.pixels
            parts.append(_shifted(tile.labels, left, top))
    return Canvas(pixels, joined(parts))


def joined(parts: list[Labels]) -> Labels:
    """Return the labels of several tiles as one."""
    return Labels(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.sure for part in parts]),
    )


def _borders(rng: np.random.Generator, grid: int, side: int) -> list[int]:
    even = np.arange(1, grid) * side / grid
    inner = even + rng.uniform(-0.2, 0.2, grid - 1) * side / grid
    return [0, *(int(v) for v in inner), side]


def _shifted(labels: Labels, left: int, top: int) -> Labels:
    shift = np.array([left, top], np.float64)
    return Labels(labels.boxes + np.tile(shift, 2), labels.points + shift, labels.sure)


def _tile(rng: np.random.Generator, draw: Draw, width: int, height: int) -> Canvas:
    """Draw pictures until one fills the tile without being blown up, then cut the tile from it."""
    for _ in range(8):
        pixels, labels = draw(rng)
        cover = max(width / pixels.shape[1], height / pixels.shape[0])
        if cover <= MOST_ENLARGED:
            break
    scale = max(cover, _wanted_scale(rng, labels, max(width, height)))
    focus = focus_of(rng, labels, pixels.shape)
    window = window_of(rng, pixels.shape, focus, (width / scale, height / scale))
    degrees = rng.uniform(-MOST_DEGREES, MOST_DEGREES) if rng.random() < ROTATED_SHARE else 0.0
    canvas = cut(rng, pixels, labels, window, (width, height), degrees)
    return mirrored(canvas) if rng.random() < 0.5 else canvas


def _wanted_scale(rng: np.random.Generator, labels: Labels, side: int) -> float:
    """Return a scale that gives one of the faces a size drawn evenly in the logarithm."""
    faces = labels.boxes[labels.sure]
    if not len(faces):
        return float(rng.uniform(0.5, 1.5))
    face = faces[rng.integers(len(faces))]
    size = np.sqrt(np.prod(np.maximum(face[2:] - face[:2], 1.0)))
    wanted = np.exp(rng.uniform(np.log(SMALLEST_FACE), np.log(max(0.95 * side, 2 * SMALLEST_FACE))))
    return float(min(wanted / size, MOST_ENLARGED))


def focus_of(rng: np.random.Generator, labels: Labels, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the place that the tile shows: a face, or anywhere."""
    faces = labels.boxes[labels.sure]
    if len(faces) and rng.random() < 0.9:
        face = faces[rng.integers(len(faces))]
        return float(face[[0, 2]].mean()), float(face[[1, 3]].mean())
    return float(rng.uniform(0, shape[1])), float(rng.uniform(0, shape[0]))


def window_of(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    focus: tuple[float, float],
    size: tuple[float, float],
) -> tuple[int, int, int, int]:
    """Return left, top, width, height in whole pixels of a window that holds the focus somewhere."""
    placed = []
    for centre, side, whole in zip(focus, size, (shape[1], shape[0]), strict=True):
        length = int(min(max(round(side), 2), whole))
        start = int(np.clip(centre - rng.uniform(0.15, 0.85) * length, 0, whole - length))
        placed.append((start, length))
    (left, width), (top, height) = placed
    return left, top, width, height


def cut(
    rng: np.random.Generator,
    pixels: Pixels,
    labels: Labels,
    window: tuple[int, int, int, int],
    size: tuple[int, int],
    degrees: float = 0.0,
) -> Canvas:
    """Resample a window of a picture to `size` (width, height), turned by `degrees` about its middle.

    Shrinking is by area or bilinear at random, because a device shrinks its frames bilinearly and photographs
    come shrunk by better means.
    """
    left, top, width, height = window
    sx, sy = size[0] / width, size[1] / height
    affine = np.array(
        [[sx, 0, (0.5 - left) * sx - 0.5], [0, sy, (0.5 - top) * sy - 0.5]],
        np.float64,
    )
    if degrees:
        turn = cv2.getRotationMatrix2D((size[0] / 2 - 0.5, size[1] / 2 - 0.5), degrees, 1.1)
        affine = turn[:, :2] @ affine + np.pad(turn[:, 2:], ((0, 0), (2, 0)))
        shade = [float(v) for v in rng.integers(0, 256, 3)]
        tile = cv2.warpAffine(pixels, affine, size, flags=cv2.INTER_LINEAR, borderValue=shade)
    else:
        by_area = sx < 1 and rng.random() < 0.5
        part = pixels[top : top + height, left : left + width]
        tile = cv2.resize(part, size, interpolation=cv2.INTER_AREA if by_area else cv2.INTER_LINEAR)
    return Canvas(np.asarray(tile, np.uint8), _mapped(labels, affine, size))


def _mapped(labels: Labels, affine: Array, size: tuple[int, int]) -> Labels:
    """Move labels into a tile: clipped to it, to be ignored where too little shows or the face is too small."""
    linear, shift = affine[:, :2], affine[:, 2]
    middle = (labels.boxes[:, :2] + labels.boxes[:, 2:]) / 2 @ linear.T + shift
    half = (labels.boxes[:, 2:] - labels.boxes[:, :2]) / 2 * np.linalg.norm(linear, axis=0)
    whole = np.concatenate([middle - half, middle + half], axis=1)
    edge = np.array([*size, *size], np.float64) - 0.5
    boxes = np.clip(whole, -0.5, edge)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    shown = area / np.maximum(np.prod(2 * half, axis=1), 1e-6)
    points = labels.points @ linear.T + shift
    outside = ((points < -0.5) | (points > edge[:2])).any(axis=-1)
    points[outside] = np.nan
    sure = labels.sure & (shown >= VISIBLE) & (area >= (SMALLEST_FACE - 1) ** 2)
    keep = shown > np.where(labels.sure, GLIMPSED, 0.02)
    return Labels(boxes[keep], points[keep], sure[keep])


def mirrored(canvas: Canvas) -> Canvas:
    """Return the picture and its labels seen in a mirror."""
    width = canvas.pixels.shape[1]
    boxes = canvas.labels.boxes[:, [2, 1, 0, 3]]
    boxes[:, [0, 2]] = width - 1 - boxes[:, [0, 2]]
    labels = Labels(boxes, mirrored_points(canvas.labels.points, width), canvas.labels.sure)
    return Canvas(canvas.pixels[:, ::-1], labels)
