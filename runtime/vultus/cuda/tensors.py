"""What passes between the device path's steps: tensors and frames by their device addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vultus.types import PixelFormat

__all__ = ["DeviceFrame", "DeviceTensor"]


@dataclass(frozen=True)
class DeviceTensor:
    """A dense array on the device. dtype: float32 or float16 for tensors, FACE for records, int32 for counts.

    owner: whatever keeps the memory alive; not touched.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: object = None

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


@dataclass(frozen=True)
class DeviceFrame:
    """One picture on the device. pitch: bytes a row. chroma: address of NV12's second plane, of the same pitch.

    colour: how NV12 becomes RGB, as in `vultus.types.Frame`. owner: whatever keeps the memory alive. stream: the
    CUstream that still writes the pixels, which the device waits for; None when they are there already.
    """

    pointer: int
    width: int
    height: int
    pitch: int
    format: PixelFormat = "BGR"
    chroma: int = 0
    colour: str = "bt601"
    index: int = 0
    time: float = 0.0
    owner: object = None
    stream: int | None = None
