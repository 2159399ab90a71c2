"""The picture on which peers are timed: 640x480 with six faces from near to far, or a photograph."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vultus.selftest.pictures import BACKGROUND, face_tile

__all__ = ["HEIGHT", "WIDTH", "Scene", "scene"]

WIDTH, HEIGHT = 640, 480

PLACES = ((10, 10, 210), (225, 20, 180), (420, 10, 200), (20, 250, 150), (230, 260, 120), (430, 250, 170))
"""Left, top and side of each copy of the portrait; the face takes about half of its side."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """A BGR picture, how many faces it shows, and where it comes from."""

    pixels: Pixels
    faces: int
    source: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the pixels."""
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()


def scene(photo: Path | None = None, faces: int = 0) -> Scene:
    """Return the picture made of the package's portrait, or a photograph fitted into the same size.

    Raises ValueError for a photograph that cannot be read or whose number of faces is not told.
    """
    if photo is None:
        return Scene(_portraits(), len(PLACES), "six copies of the package's public-domain portrait")
    picture = cv2.imread(str(photo))
    if picture is None:
        raise ValueError(f"{photo} cannot be read as a picture")
    if faces < 1:
        raise ValueError(f"tell how many faces {photo.name} shows with --faces")
    return Scene(_fitted(np.asarray(picture, np.uint8)), faces, photo.name)


def _portraits() -> Pixels:
    pixels = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
    for number, (left, top, side) in enumerate(PLACES):
        tile = cv2.resize(face_tile(), (side, side), interpolation=cv2.INTER_AREA)
        pixels[top : top + side, left : left + side] = tile[:, ::-1] if number % 2 else tile
    return pixels


def _fitted(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    scale = min(WIDTH / width, HEIGHT / height)
    size = (round(width * scale), round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
    pixels[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=how)
    return pixels
