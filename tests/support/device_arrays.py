"""Device arrays as other libraries hand them out: the CUDA array interface and DLPack, over a driver's memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.cuda.driver import Driver

__all__ = ["CudaArray", "DlpackArray", "dlpack_capsule"]


class CudaArray:
    """A uint8 array on the device, rows `gap` bytes apart, with an array interface of any version.

    stream: "absent" leaves the key out. A copy of the pixels is there when the constructor returns.
    """

    def __init__(self, driver: Driver, pixels: npt.NDArray[np.uint8], gap: int = 0) -> None:
        self.shape, self.version = pixels.shape, 2
        self.stream: int | str | None = "absent"
        row = int(np.prod(pixels.shape[1:]))
        self.pitch = row + gap
        self.strides = (self.pitch, 3, 1) if pixels.ndim == 3 else (self.pitch, 1)
        self.typestr: str = "|u1"
        with driver.current():
            # The last row has no gap behind it, so that reading one would be out of bounds.
            self.memory = driver.allocate(self.pitch * (len(pixels) - 1) + row)
            stream, staging = driver.stream(), driver.allocate_host(pixels.nbytes)
            staging.array[:] = np.ascontiguousarray(pixels).ravel()
            driver.copy_rows(self.memory.pointer, self.pitch, staging.pointer, row, row, len(pixels), stream)
            stream.synchronise()
            staging.close()
            stream.close()
        self.pointer = self.memory.pointer

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        interface = {
            "shape": self.shape,
            "strides": self.strides,
            "data": (self.pointer, True),
            "typestr": self.typestr,
            "version": self.version,
        }
        return interface if self.stream == "absent" else interface | {"stream": self.stream}

    def close(self) -> None:
        self.memory.close()


class DlpackArray:
    """The same array by DLPack. asked: the streams that consumers named. released: how often memory came back."""

    def __init__(
        self, array: Any, device: tuple[int, int] = (2, 0), code: int = 1, bits: int = 8, lanes: int = 1
    ) -> None:
        self.array, self.device, self.type = array, device, (code, bits, lanes)
        self.asked: list[object] = []
        self.released = 0
        self.on_release: Callable[[], None] = lambda: None

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, stream: object = None) -> object:
        self.asked.append(stream)
        return dlpack_capsule(self)


class _Managed(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


_alive: dict[int, tuple[object, ...]] = {}


def dlpack_capsule(owner: DlpackArray, offset: int = 0) -> object:
    """Return a capsule as producers make it; its deleter counts in the owner."""
    array, ndim = owner.array, len(owner.array.shape)
    shape, strides = (ctypes.c_int64 * ndim)(*array.shape), (ctypes.c_int64 * ndim)(*array.strides)
    managed = _Managed(
        array.pointer - offset,
        (ctypes.c_int32 * 2)(*owner.device),
        ndim,
        *owner.type,
        ctypes.addressof(shape),
        ctypes.addressof(strides),
        offset,
    )
    address = ctypes.addressof(managed)

    def release(_: object) -> None:
        owner.released += 1
        owner.on_release()
        del _alive[address]

    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(release)
    managed.deleter = ctypes.cast(function, ctypes.c_void_p).value
    _alive[address] = (managed, shape, strides, function)
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return make(address, _NAME, None)


_NAME = b"dltensor"
