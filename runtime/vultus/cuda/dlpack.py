"""Device arrays of other libraries, borrowed without a copy: DLPack and the CUDA array interface.

DLPack (https://dmlc.github.io/dlpack) hands memory over in a capsule; whoever asks names a stream, and the
producer puts its work before it. The CUDA array interface (numba's, versions 2 and 3) is a dictionary whose memory
stays the producer's; version 3 names the producer's stream.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from vultus.errors import InputError

__all__ = ["CUDA", "ArrayView", "offers_dlpack", "view_of_dlpack", "view_of_interface"]

CUDA, CUDA_HOST, CUDA_MANAGED = 2, 3, 13
"""DLPack's numbers for device memory, page-locked host memory and managed memory."""

LEGACY_STREAM = 1
UNSIGNED = 1  # DLPack's number for unsigned integers
NAME, USED = ctypes.c_char_p(b"dltensor"), ctypes.c_char_p(b"used_dltensor")


@dataclass(frozen=True)
class ArrayView:
    """Bytes of another library's array. strides: bytes. device: CUDA index, None when the array does not say."""

    pointer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    device: int | None
    stream: int | None
    owner: object


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (
        ("tensor", _Tensor),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    )


class _Borrowed:
    """Memory taken out of a capsule; given back to its producer when nobody holds this any more."""

    def __init__(self, capsule: object) -> None:
        self._address = _pointer(capsule)
        self.managed = ctypes.cast(self._address, ctypes.POINTER(_Managed)).contents
        ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), USED)

    def __del__(self) -> None:
        if managed := getattr(self, "managed", None):
            managed.deleter(self._address)


def offers_dlpack(array: object) -> bool:
    """Tell whether an object is an array that lies where CUDA can read it and can be had by DLPack."""
    return _dlpack_device(array)[0] in (CUDA, CUDA_HOST, CUDA_MANAGED)


def view_of_dlpack(array: Any, stream: int) -> ArrayView:
    """Borrow an array of bytes by DLPack; the producer orders its work before `stream`.

    Raises InputError when the array is on the CPU or of another device or type.
    """
    kind, device = _dlpack_device(array)
    if kind not in (CUDA, CUDA_HOST, CUDA_MANAGED):
        raise InputError(
            f"the {_name(array)} lies on DLPack device type {kind}, which is not CUDA; "
            "hand a picture on the CPU in as a numpy array (numpy.from_dlpack)"
        )
    try:
        borrowed = _Borrowed(array.__dlpack__(stream=stream))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"the {_name(array)} does not hand itself over by DLPack: {error}") from error
    tensor = borrowed.managed.tensor
    if (tensor.code, tensor.bits, tensor.lanes) != (UNSIGNED, 8, 1):
        raise InputError(
            f"a picture's pixels must be uint8; the {_name(array)} has DLPack type code {tensor.code}, "
            f"{tensor.bits} bits, {tensor.lanes} lanes"
        )
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    strides = tuple(tensor.strides[i] for i in range(tensor.ndim)) if tensor.strides else _dense(shape)
    pointer = (tensor.data or 0) + tensor.byte_offset
    return ArrayView(pointer, shape, strides, device if kind == CUDA else None, None, borrowed)


def view_of_interface(array: Any) -> ArrayView:
    """Borrow an array of bytes by its `__cuda_array_interface__`.

    Where the producer names no stream its work is taken to be in the legacy default one, which PyCUDA's arrays
    need. Raises InputError for another type, a mask or an unknown version.
    """
    interface = array.__cuda_array_interface__
    version, typestr = interface.get("version", 0), interface.get("typestr", "")
    if version < 2:
        raise InputError(
            f"the {_name(array)} has version {version} of the CUDA array interface; 2 or 3 can be read"
        )
    if np.dtype(typestr) != np.uint8:
        raise InputError(f"a picture's pixels must be uint8; the {_name(array)} has type {typestr!r}")
    if interface.get("mask") is not None:
        raise InputError(f"the {_name(array)} is masked; hand in the array without its mask")
    shape = tuple(int(side) for side in interface["shape"])
    strides = tuple(int(step) for step in interface.get("strides") or _dense(shape))
    stream = interface.get("stream") or LEGACY_STREAM
    return ArrayView(int(interface["data"][0]), shape, strides, None, int(stream), array)


def _pointer(capsule: object) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return int(get(capsule, NAME.value) or 0)


def _dlpack_device(array: Any) -> tuple[int, int]:
    """Return DLPack's (device type, device index) of an object; type 0 for one that offers no DLPack."""
    if not (hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__")):
        return 0, 0
    kind, index = array.__dlpack_device__()
    return int(kind), int(index)


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[place + 1 :])) for place in range(len(shape)))


def _name(array: object) -> str:
    return f"{type(array).__module__}.{type(array).__qualname__}"
