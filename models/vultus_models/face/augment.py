"""What a training sample goes through: a jittered alignment, then what cameras and compression do to pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vultus.geometry import similarity_from_points, template_points
from vultus_models.face.cache import CROP

__all__ = ["FLIP_5", "FLIP_68", "Jitter", "jittered_affines", "mirrored", "worn"]

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator

FLIP_68 = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46),
        *(39, 38, 37, 36, 41, 40),
        *range(54, 47, -1),
        *range(59, 54, -1),
        *range(64, 59, -1),
        *range(67, 64, -1),
    ]
)
"""Which landmark of a face each landmark of its mirror image is (iBUG 68 order)."""

FLIP_5 = np.array([1, 0, 2, 4, 3])
"""The same for the five points."""


@dataclass(frozen=True)
class Jitter:
    """How far alignments stray: rotation in degrees, scale and shift as shares, points as share of the side.

    untouched: share of faces whose alignment stays as it is. sound: share of faces whose pixels do. Raises ValueError
    where they are no shares.
    """

    rotation: float = 15.0
    scale: float = 0.12
    shift: float = 0.05
    points: float = 0.012
    untouched: float = 0.15
    sound: float = 0.0

    def __post_init__(self) -> None:
        for name in ("untouched", "sound"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"{name} = {share:g} is no share of the faces; give 0 to 1")


def jittered_affines(points: Array, five: Array, jitter: Jitter, rng: Rng) -> Array:
    """Return affines (n, 2, 3) from cached pixels to crops of CROP pixels.

    points, five: (n, 5, 2) aligning and labelled points in cached pixels, the latter NaN where unknown. Detectors
    put the points in different places, so the two are mixed at random and every point is moved a little.
    """
    count = len(points)
    known = np.isfinite(five).all(axis=(1, 2), keepdims=True)
    share = rng.uniform(0, 1, (count, 1, 1)) * known
    mixed = points + share * np.nan_to_num(five - points)
    mixed = mixed + rng.normal(0, jitter.points * CROP, mixed.shape)
    moved = _moved(similarity_from_points(mixed, template_points(CROP)), jitter, rng)
    untouched = rng.random(count) < jitter.untouched
    plain = similarity_from_points(points, template_points(CROP))
    return np.where(untouched[:, None, None], plain, moved)


def _moved(base: Array, jitter: Jitter, rng: Rng) -> Array:
    """Turn, scale and shift crops (n, 2, 3) about their centres."""
    count, centre = len(base), (CROP - 1) / 2
    turn = np.radians(np.clip(rng.normal(0, jitter.rotation / 2, count), -jitter.rotation, jitter.rotation))
    size = 1 + rng.uniform(-jitter.scale, jitter.scale, count)
    cos, sin = size * np.cos(turn), size * np.sin(turn)
    linear = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    moved = linear @ base
    shift = rng.uniform(-jitter.shift, jitter.shift, (count, 2)) * CROP
    moved[:, :, 2] += centre - linear.sum(axis=2) * centre + shift
    return moved


def mirrored(affines: Array) -> Array:
    """Return the affines (n, 2, 3) whose crops are the mirror images of these affines' crops."""
    flipped = affines.copy()
    flipped[:, 0] *= -1
    flipped[:, 0, 2] += CROP - 1
    return flipped


def worn(crop: Pixels, rng: Rng) -> Pixels:
    """Return a crop after a random choice of light, blur, low resolution, compression, noise and occlusion."""
    crop = _lit(crop, rng)
    for chance, change in _CHANGES:
        if rng.random() < chance:
            crop = change(crop, rng)
    return crop


def _lit(crop: Pixels, rng: Rng) -> Pixels:
    """Change contrast, brightness and gamma, and the balance of the colours a little."""
    values = np.arange(256, dtype=np.float32) / 255
    values = values ** float(np.exp(rng.uniform(-0.35, 0.35)))
    gain = np.exp(rng.uniform(-0.3, 0.3)) * np.exp(rng.normal(0, 0.05, 3))
    table = (values[:, None] - 0.45) * gain + 0.45 + rng.uniform(-0.15, 0.15)
    lut = np.clip(table * 255, 0, 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(crop, lut), np.uint8)


def _grey(crop: Pixels, rng: Rng) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def _small(crop: Pixels, rng: Rng) -> Pixels:
    side = int(rng.integers(20, 80))
    down = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(down, (CROP, CROP), interpolation=cv2.INTER_LINEAR), np.uint8)


def _blurred(crop: Pixels, rng: Rng) -> Pixels:
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 1.8)), np.uint8)
    size = [1, 1]
    size[int(rng.integers(2))] = int(rng.integers(3, 8))
    return np.asarray(cv2.blur(crop, size), np.uint8)


def _compressed(crop: Pixels, rng: Rng) -> Pixels:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", crop, quality)[1], cv2.IMREAD_COLOR), np.uint8)


def _noisy(crop: Pixels, rng: Rng) -> Pixels:
    cv2.setRNGSeed(int(rng.integers(2**31)))
    noise = cv2.randn(np.empty(crop.shape, np.int16), np.zeros(3), np.full(3, rng.uniform(3, 14)))
    return np.asarray(np.clip(crop + np.asarray(noise, np.int16), 0, 255), np.uint8)


def _covered(crop: Pixels, rng: Rng) -> Pixels:
    width, height = rng.integers(CROP // 8, CROP // 2, 2)
    x, y = (
        int(rng.integers(-width // 2, CROP - width // 2)),
        int(rng.integers(-height // 2, CROP - height // 2)),
    )
    crop = crop.copy()
    crop[max(y, 0) : y + height, max(x, 0) : x + width] = rng.integers(0, 256, 3)
    return crop


_CHANGES: tuple[tuple[float, Callable[[Pixels, Rng], Pixels]], ...] = (
    (0.10, _covered),
    (0.12, _blurred),
    (0.25, _small),
    (0.10, _noisy),
    (0.12, _compressed),
    (0.12, _grey),
)
