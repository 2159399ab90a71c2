"""Memory over cuda-bindings: freed by `close`, or when its owner forgets it, in any thread."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.cuda.driver.calls import Calls
from vultus.errors import DeviceError

__all__ = ["BoundDeviceMemory", "BoundHostMemory"]

DEVICEMAP = 2  # CU_MEMHOSTALLOC_DEVICEMAP


class BoundDeviceMemory:
    """Bytes on the device."""

    def __init__(self, calls: Calls, size: int) -> None:
        self._size = _require_size(size)
        handle = _allocate(calls, "cuMemAlloc", size)
        self._pointer = int(handle)
        self._free = weakref.finalize(self, calls.guard.free, calls.release("cuMemFree", handle))

    @property
    def pointer(self) -> int:
        """Device address of the first byte."""
        return self._pointer

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._size

    def close(self) -> None:
        """Free the memory."""
        self._free()


class BoundHostMemory:
    """Page-locked bytes on the host."""

    def __init__(self, calls: Calls, size: int, mapped: bool) -> None:
        flags = DEVICEMAP if mapped else 0
        handle = _allocate(calls, "cuMemHostAlloc", _require_size(size), flags)
        self._free = weakref.finalize(self, calls.guard.free, calls.release("cuMemFreeHost", handle))
        self._pointer = int(handle)
        self._device = int(calls("cuMemHostGetDevicePointer", handle, 0)) if mapped else 0
        self.__array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (self._pointer, False),
            "version": 3,
        }

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """The bytes, (size,) uint8; it keeps the memory from being forgotten, but not from being closed."""
        return np.asarray(self)

    @property
    def pointer(self) -> int:
        """Host address of the first byte."""
        return self._pointer

    @property
    def device_pointer(self) -> int:
        """Address at which the device sees the same bytes; 0 when not mapped."""
        return self._device

    def close(self) -> None:
        """Free the memory."""
        self._free()


def _require_size(size: int) -> int:
    """Refuse to allocate nothing."""
    if size <= 0:
        raise DeviceError(f"{size} bytes were asked for; expected one or more")
    return size


def _allocate(calls: Calls, verb: str, size: int, *flags: int) -> Any:
    """Allocate and count; the error of full memory tells what was asked for and what was free."""
    calls.guard.check(verb)
    with calls.current():
        try:
            handle = calls.plain(verb, size, *flags)
        except DeviceError as error:
            if "OUT_OF_MEMORY" not in str(error):
                raise
            unused, total = calls.plain("cuMemGetInfo")
            asked = f"{size} bytes were asked for, {int(unused)} of the GPU's {int(total)} were free"
            raise calls.guard.failure("CUDA_ERROR_OUT_OF_MEMORY", verb, asked) from None
    calls.guard.allocations += 1
    return handle
