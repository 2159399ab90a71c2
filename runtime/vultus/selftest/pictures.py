"""Pictures with a known number of faces, made from one portrait in the public domain.

`face.png` is a cut of NASA's portrait of the astronaut Eileen Collins (Great Images collection, public domain).
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vultus.errors import InputError
from vultus.types import Frame

__all__ = ["collage", "face_tile", "nv12_from_bgr"]

TILE = Path(__file__).with_name("face.png")
BACKGROUND = 128

Pixels = npt.NDArray[np.uint8]


@lru_cache(maxsize=1)
def face_tile() -> Pixels:
    """Return the portrait, (210, 210, 3) BGR."""
    data = np.frombuffer(TILE.read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def collage(width: int, height: int, faces: int, side: int | None = None) -> Pixels:
    """Return a grey BGR picture (height, width, 3) with so many copies of the portrait on a grid.

    side: of each copy in pixels; as large as the grid lets it be by default. Every second copy is mirrored.
    Raises InputError when they do not fit.
    """
    picture = np.full((height, width, 3), BACKGROUND, np.uint8)
    if not faces:
        return picture
    columns = _columns(width, height, faces)
    wide, tall = width // columns, height // math.ceil(faces / columns)
    side = side or min(wide, tall)
    if not 16 <= side <= min(wide, tall):
        raise InputError(f"{faces} faces of {side} pixels do not fit into {width} x {height}")
    tile = _scaled(face_tile(), side)
    for number in range(faces):
        row, column = divmod(number, columns)
        x, y = column * wide + (wide - side) // 2, row * tall + (tall - side) // 2
        picture[y : y + side, x : x + side] = tile[:, ::-1] if number % 2 else tile
    return picture


def _columns(width: int, height: int, faces: int) -> int:
    """Return the number of columns that gives the largest cells."""

    def cell(columns: int) -> int:
        return min(width // columns, height // math.ceil(faces / columns))

    return max(range(1, faces + 1), key=lambda columns: (cell(columns), -columns))


def _scaled(tile: Pixels, side: int) -> Pixels:
    if side == len(tile):
        return tile
    how = cv2.INTER_AREA if side < len(tile) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(tile, (side, side), interpolation=how), np.uint8)


def nv12_from_bgr(bgr: Pixels) -> Frame:
    """Return the NV12 frame (BT.601, limited range) of a BGR picture with even sides."""
    height, width = bgr.shape[:2]
    planar = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8)
    chroma = planar[height:].reshape(2, height // 2, width // 2)
    woven = np.stack(list(chroma), axis=-1).reshape(height // 2, width)
    return Frame(np.concatenate([planar[:height], woven]), "NV12")
