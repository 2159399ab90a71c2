"""Arrays on the device for tests and measurements: uploaded, poisoned, read back, all freed together."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.cuda.driver import Driver
from vultus.cuda.tensors import DeviceFrame, DeviceTensor
from vultus.types import Frame, PixelFormat

__all__ = ["POISON", "Workspace"]

POISON = 0xA5
"""What device memory holds before a kernel writes to it, so that a place left out is seen."""


class Workspace:
    """Device arrays with a stream of their own; a context manager that frees them all."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._stack = ExitStack()
        self.stream = driver.stream()
        self._stack.callback(self.stream.close)

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceTensor:
        """Return an array in which every byte is POISON."""
        kind: np.dtype[Any] = np.dtype(dtype)
        memory = self.driver.allocate(max(int(np.prod(shape)) * kind.itemsize, 1))
        self._stack.callback(memory.close)
        self.driver.fill(memory.pointer, POISON, memory.size, self.stream)
        return DeviceTensor(memory.pointer, shape, kind, memory)

    def put(self, array: npt.NDArray[Any]) -> DeviceTensor:
        """Return a copy of a host array on the device."""
        tensor = self.empty(array.shape, array.dtype)
        self.write(tensor, array)
        return tensor

    def write(self, tensor: DeviceTensor, array: npt.NDArray[Any]) -> None:
        """Overwrite a device array with a host array of the same bytes."""
        source = np.ascontiguousarray(array)
        self.driver.copy(tensor.pointer, source.ctypes.data, source.nbytes, self.stream)
        self.stream.synchronise()

    def get(self, tensor: DeviceTensor) -> npt.NDArray[Any]:
        """Return a device array as a new host array, after all work of the stream."""
        out = np.empty(tensor.shape, tensor.dtype)
        self.driver.copy(out.ctypes.data, tensor.pointer, out.nbytes, self.stream)
        self.stream.synchronise()
        return out

    def frame(self, frame: Frame, padding: int = 0) -> DeviceFrame:
        """Return a picture on the device, with so many bytes of padding behind each row."""
        rows = frame.pixels.reshape(len(frame.pixels), -1)
        padded = np.full((len(rows), rows.shape[1] + padding), POISON, np.uint8)
        padded[:, : rows.shape[1]] = rows
        pixels, pitch = self.put(padded), padded.shape[1]
        chroma = pixels.pointer + frame.height * pitch if frame.format == "NV12" else 0
        kind: PixelFormat = frame.format
        return DeviceFrame(
            pixels.pointer, frame.width, frame.height, pitch, kind, chroma, frame.colour, owner=pixels
        )

    def close(self) -> None:
        """Free everything; twice does nothing."""
        self._stack.close()

    def __enter__(self) -> Workspace:
        """Return the workspace itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free everything."""
        self.close()
