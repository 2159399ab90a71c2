"""The driver's own library by ctypes, speaking as cuda-bindings does: each function returns its code and its values.

For packages that open a device and leave out some of the verbs.
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable
from typing import Any

__all__ = ["LibCuda"]

Int, Unsigned, Size, Address = ctypes.c_int, ctypes.c_uint, ctypes.c_size_t, ctypes.c_void_p
Pointer = ctypes.c_uint64  # CUdeviceptr


class _Out:
    """A parameter that the function writes to."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


_HANDLE = _Out(Address)

_FUNCTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "cuInit": ("cuInit", (Unsigned,)),
    "cuDriverGetVersion": ("cuDriverGetVersion", (_Out(Int),)),
    "cuDeviceGetCount": ("cuDeviceGetCount", (_Out(Int),)),
    "cuDeviceGet": ("cuDeviceGet", (_Out(Int), Int)),
    "cuDeviceGetAttribute": ("cuDeviceGetAttribute", (_Out(Int), Int, Int)),
    "cuDeviceTotalMem": ("cuDeviceTotalMem_v2", (_Out(Size), Int)),
    "cuDevicePrimaryCtxRetain": ("cuDevicePrimaryCtxRetain", (_HANDLE, Int)),
    "cuDevicePrimaryCtxRelease": ("cuDevicePrimaryCtxRelease_v2", (Int,)),
    "cuCtxGetCurrent": ("cuCtxGetCurrent", (_HANDLE,)),
    "cuCtxPushCurrent": ("cuCtxPushCurrent_v2", (Address,)),
    "cuCtxPopCurrent": ("cuCtxPopCurrent_v2", (_HANDLE,)),
    "cuMemAlloc": ("cuMemAlloc_v2", (_Out(Pointer), Size)),
    "cuMemFree": ("cuMemFree_v2", (Pointer,)),
    "cuMemHostAlloc": ("cuMemHostAlloc", (_HANDLE, Size, Unsigned)),
    "cuMemFreeHost": ("cuMemFreeHost", (Address,)),
    "cuMemHostGetDevicePointer": ("cuMemHostGetDevicePointer_v2", (_Out(Pointer), Address, Unsigned)),
    "cuMemGetInfo": ("cuMemGetInfo_v2", (_Out(Size), _Out(Size))),
    "cuMemcpyAsync": ("cuMemcpyAsync", (Pointer, Pointer, Size, Address)),
    "cuMemcpy2DAsync": ("cuMemcpy2DAsync_v2", (Address, Address)),
    "cuMemsetD8Async": ("cuMemsetD8Async", (Pointer, ctypes.c_ubyte, Size, Address)),
    "cuStreamCreate": ("cuStreamCreate", (_HANDLE, Unsigned)),
    "cuStreamDestroy": ("cuStreamDestroy_v2", (Address,)),
    "cuStreamSynchronize": ("cuStreamSynchronize", (Address,)),
    "cuStreamWaitEvent": ("cuStreamWaitEvent", (Address, Address, Unsigned)),
    "cuStreamBeginCapture": ("cuStreamBeginCapture_v2", (Address, Int)),
    "cuStreamEndCapture": ("cuStreamEndCapture", (Address, _HANDLE)),
    "cuEventCreate": ("cuEventCreate", (_HANDLE, Unsigned)),
    "cuEventDestroy": ("cuEventDestroy_v2", (Address,)),
    "cuEventRecord": ("cuEventRecord", (Address, Address)),
    "cuEventSynchronize": ("cuEventSynchronize", (Address,)),
    "cuEventQuery": ("cuEventQuery", (Address,)),
    "cuEventElapsedTime": ("cuEventElapsedTime", (_Out(ctypes.c_float), Address, Address)),
    "cuModuleLoadData": ("cuModuleLoadData", (_HANDLE, ctypes.c_char_p)),
    "cuModuleUnload": ("cuModuleUnload", (Address,)),
    "cuModuleGetFunction": ("cuModuleGetFunction", (_HANDLE, Address, ctypes.c_char_p)),
    "cuLaunchKernel": ("cuLaunchKernel", (Address, *[Unsigned] * 7, Address, Address, Address)),
    "cuGraphInstantiate": ("cuGraphInstantiateWithFlags", (_HANDLE, Address, ctypes.c_uint64)),
    "cuGraphDestroy": ("cuGraphDestroy", (Address,)),
    "cuGraphExecDestroy": ("cuGraphExecDestroy", (Address,)),
    "cuGraphLaunch": ("cuGraphLaunch", (Address, Address)),
    "cuGetErrorName": ("cuGetErrorName", (Int, _Out(ctypes.c_char_p))),
}
"""Function -> its symbol and its parameters in order."""


class _Rectangle(ctypes.Structure):  # CUDA_MEMCPY2D
    _fields_ = [
        (f"{side}{name}", kind)
        for side in ("src", "dst")
        for name, kind in (
            ("XInBytes", Size),
            ("Y", Size),
            ("MemoryType", Int),
            ("Host", Address),
            ("Device", Pointer),
            ("Array", Address),
            ("Pitch", Size),
        )
    ] + [("WidthInBytes", Size), ("Height", Size)]


class LibCuda:
    """The loaded library with the constants that the verbs name."""

    CUDA_MEMCPY2D = _Rectangle
    CUresult = int

    class CUdevice_attribute(enum.IntEnum):
        """What a device may be asked."""

        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16
        CU_DEVICE_ATTRIBUTE_INTEGRATED = 18
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76

    class CUmemorytype(enum.IntEnum):
        """Where memory lies; unified: the driver finds out."""

        CU_MEMORYTYPE_UNIFIED = 4

    class CUstreamCaptureMode(enum.IntEnum):
        """Whose unsafe calls spoil a capture: the capturing thread's alone."""

        CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1

    def __init__(self) -> None:
        library = ctypes.CDLL("libcuda.so.1")
        for name, (symbol, parameters) in _FUNCTIONS.items():
            setattr(self, name, _wrapped(getattr(library, symbol), parameters))
        self._name_of_device = library.cuDeviceGetName

    def cuDeviceGetName(self, size: int, device: int) -> tuple[int, bytes]:
        """Return the code and the device's name."""
        name = ctypes.create_string_buffer(size)
        return self._name_of_device(name, size, device), name.value


def _wrapped(function: Any, parameters: tuple[Any, ...]) -> Callable[..., tuple[Any, ...]]:
    function.argtypes = [ctypes.POINTER(p.kind) if isinstance(p, _Out) else p for p in parameters]
    kinds = [(place, p.kind) for place, p in enumerate(parameters) if isinstance(p, _Out)]

    def call(*given: Any) -> tuple[Any, ...]:
        arguments, values = list(given), []
        for place, kind in kinds:
            values.append(kind())
            arguments.insert(place, ctypes.byref(values[-1]))
        code = function(*(ctypes.byref(a) if isinstance(a, _Rectangle) else a for a in arguments))
        return (code, *(value.value or 0 for value in values))

    return call
