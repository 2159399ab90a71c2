"""Frames for the tests of kernels: noise of every format, at any pitch, as host and as device frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.cuda.tensors import DeviceFrame
from vultus.types import Frame, PixelFormat, YuvColour

__all__ = ["Pair", "framed"]


@dataclass(frozen=True)
class Pair:
    """The same picture for the host and for the device. memory: what the device frame points into."""

    host: Frame
    device: DeviceFrame
    memory: npt.NDArray[np.uint8]


def framed(
    width: int,
    height: int,
    format: PixelFormat = "BGR",
    colour: YuvColour = "bt601",
    padding: int = 0,
    shift: int = 0,
    seed: int = 0,
    smooth: bool = False,
) -> Pair:
    """Return noise, or with smooth broad waves. padding: bytes behind each row. shift: bytes before the first row.

    No byte lies behind the last pixel, and what is between rows is bright.
    """
    rows = height * 3 // 2 if format == "NV12" else height
    channels = 3 if format in ("BGR", "RGB") else 1
    pixels = _waves(rows, width, channels) if smooth else _noise(rows, width, channels, seed)
    row = width * channels
    pitch = row + padding
    memory = np.full(shift + pitch * (rows - 1) + row, 255, np.uint8)
    view = np.lib.stride_tricks.as_strided(memory[shift:], (rows, row), (pitch, 1))
    view[...] = pixels.reshape(rows, row)
    host = Frame(pixels if channels == 3 else pixels[..., 0], format, colour=colour)
    pointer = int(memory.ctypes.data) + shift
    chroma = pointer + pitch * height if format == "NV12" else 0
    device = DeviceFrame(pointer, width, height, pitch, format, chroma, colour, owner=memory)
    return Pair(host, device, memory)


def _noise(rows: int, width: int, channels: int, seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (rows, width, channels), np.uint8)


def _waves(rows: int, width: int, channels: int) -> npt.NDArray[np.uint8]:
    y, x, c = np.mgrid[0:rows, 0:width, 0:channels]
    return np.asarray(128 + 60 * np.sin(x / 9 + c) + 60 * np.cos(y / 7 - c), np.uint8)
