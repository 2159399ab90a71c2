"""What lies around a face: tightly cut pictures get a background, others lose theirs.

The pictures with ages and with expressions are cut close, so most of their crops is padding. A network that
only met padding there would judge differently once a face has a street behind it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vultus_models.data.sets import open_set
from vultus_models.face.cache import CROP, SIDE

__all__ = ["backgrounds", "framed"]

Pixels = npt.NDArray[np.uint8]
PADDING = (128, 128, 128)
SPECK, REACH = np.ones((5, 5), np.uint8), np.ones((7, 7), np.uint8)
FILL, CUT, WORTH = 0.6, 0.12, 0.03


def backgrounds(data: Path, name: str = "scenes") -> Pixels:
    """Return pictures without faces (n, SIDE, SIDE, 3); one grey picture where the set is absent."""
    if not (data / f"{name}.csv").exists():
        return np.full((1, SIDE, SIDE, 3), 128, np.uint8)
    source = open_set(data, name)
    pictures = (picture for _, picture in source.pictures(source.of("train")))
    return np.stack([np.asarray(cv2.resize(picture, (SIDE, SIDE)), np.uint8) for picture in pictures])


def framed(crop: Pixels, scenes: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a crop whose padding may be filled with a scene, or whose surroundings may be cut off."""
    if rng.random() < CUT:
        crop = _cut(crop, rng)
    if rng.random() >= FILL:
        return crop
    padding = cv2.erode(cv2.inRange(crop, PADDING, PADDING), SPECK)  # grey pixels of a face are no padding
    if cv2.countNonZero(padding) < WORTH * CROP * CROP:
        return crop
    x, y = rng.integers(0, SIDE - CROP, 2)
    scene = scenes[int(rng.integers(len(scenes))), y : y + CROP, x : x + CROP]
    edge = cv2.dilate(padding, REACH)
    return np.asarray(cv2.copyTo(scene, edge, crop.copy()), np.uint8)


def _cut(crop: Pixels, rng: np.random.Generator) -> Pixels:
    """Keep a random rectangle around the face, the rest becomes padding."""
    left, top, right, bottom = (rng.uniform(0.0, 0.2, 4) * CROP).astype(int)
    kept = np.full_like(crop, 128)
    inner = (slice(top, CROP - bottom), slice(left, CROP - right))
    kept[inner] = crop[inner]
    return kept
