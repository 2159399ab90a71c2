"""The driver's verbs over NVIDIA's cuda-bindings, 12.6 and newer."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import metadata
from typing import Any

from vultus.cuda.calls import Calls, raw, vendor_module
from vultus.cuda.driver import Argument, DeviceInfo, Driver, Function, Graph, Stream
from vultus.cuda.faults import require_driver
from vultus.cuda.guard import Guard
from vultus.cuda.memory import BoundDeviceMemory, BoundHostMemory
from vultus.cuda.streams import BoundEvent, BoundFunction, BoundGraph, BoundModule, BoundStream, own
from vultus.errors import DeviceError

__all__ = ["BindingsDriver", "open_device"]

THREAD_LOCAL = "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL"


def open_device(index: int = 0) -> Driver:
    """Open a GPU; raises ImportError without the package and DeviceError when the driver refuses."""
    return BindingsDriver(vendor_module(), index)


class BindingsDriver:
    """One GPU's primary context; see `vultus.cuda.driver.Driver`."""

    def __init__(self, cuda: Any, index: int) -> None:
        guard = Guard()
        start = Calls(cuda, 0, guard)
        start.plain("cuInit", 0)
        version = require_driver(int(start.plain("cuDriverGetVersion")))
        device = _device(start, index)
        self._info = _describe(start, device, index, version)
        self._calls = Calls(cuda, start.plain("cuDevicePrimaryCtxRetain", device), guard)
        self._release = weakref.finalize(self, _release, cuda, device, guard)
        self._copy_kind = cuda.CUmemorytype.CU_MEMORYTYPE_UNIFIED
        self._capture_mode = getattr(cuda.CUstreamCaptureMode, THREAD_LOCAL)

    @property
    def info(self) -> DeviceInfo:
        """What the device is."""
        return self._info

    @property
    def package(self) -> str:
        """The package that speaks to the driver, with its version."""
        return _package()

    @property
    def allocations(self) -> int:
        """How many times memory was allocated."""
        return self._calls.guard.allocations

    def current(self) -> AbstractContextManager[None]:
        """Make the primary context current in this thread and restore the caller's afterwards."""
        return self._calls.current()

    def allocate(self, size: int) -> BoundDeviceMemory:
        """Allocate device memory."""
        return BoundDeviceMemory(self._calls, size)

    def allocate_host(self, size: int, mapped: bool = False) -> BoundHostMemory:
        """Allocate page-locked host memory."""
        return BoundHostMemory(self._calls, size, mapped)

    def copy(self, target: int, source: int, size: int, stream: Stream) -> None:
        """Copy bytes between any two addresses."""
        self._calls("cuMemcpyAsync", target, source, size, stream.handle)

    def copy_rows(
        self,
        target: int,
        target_pitch: int,
        source: int,
        source_pitch: int,
        width: int,
        rows: int,
        stream: Stream,
    ) -> None:
        """Copy rows between pictures of different pitches."""
        box = self._calls.cuda.CUDA_MEMCPY2D()
        box.srcMemoryType = box.dstMemoryType = self._copy_kind
        box.srcDevice, box.srcPitch = source, source_pitch
        box.dstDevice, box.dstPitch = target, target_pitch
        box.WidthInBytes, box.Height = width, rows
        self._calls("cuMemcpy2DAsync", box, stream.handle)

    def fill(self, target: int, value: int, size: int, stream: Stream) -> None:
        """Set device bytes."""
        self._calls("cuMemsetD8Async", target, value, size, stream.handle)

    def stream(self) -> BoundStream:
        """Make a stream."""
        return BoundStream(self._calls)

    def event(self, timing: bool = False) -> BoundEvent:
        """Make an event."""
        return BoundEvent(self._calls, timing)

    def load(self, image: bytes) -> BoundModule:
        """Load a fatbin, cubin or PTX."""
        return BoundModule(self._calls, image)

    def launch(
        self,
        function: Function,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: Stream,
    ) -> None:
        """Enqueue a kernel."""
        addresses = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        where = ctypes.addressof(addresses)
        self._calls(
            "cuLaunchKernel",
            own(function, BoundFunction).raw,
            *grid,
            *block,
            0,
            stream.handle,
            where,
            0,
            detail=function.name,
        )

    @contextmanager
    def capture(self, stream: Stream) -> Iterator[list[Graph]]:
        """Capture what the body enqueues; a body that raises leaves no capture behind."""
        graphs: list[Graph] = []
        with self._calls.current(), self._calls.guard.capturing():
            self._calls("cuStreamBeginCapture", stream.handle, self._capture_mode)
            try:
                yield graphs
            except BaseException:
                raw(self._calls.cuda, "cuStreamEndCapture", stream.handle)
                raise
            graphs.append(BoundGraph(self._calls, self._calls("cuStreamEndCapture", stream.handle)))

    def free_memory(self) -> int:
        """Return the free bytes on the device."""
        return int(self._calls("cuMemGetInfo")[0])

    def close(self) -> None:
        """Release the primary context; twice does nothing."""
        self._release()


def _release(cuda: Any, device: Any, guard: Guard) -> None:
    sound = guard.sound
    guard.closed = True
    if sound:
        raw(cuda, "cuDevicePrimaryCtxRelease", device)


def _device(calls: Calls, index: int) -> Any:
    count = int(calls.plain("cuDeviceGetCount"))
    if not 0 <= index < count:
        raise DeviceError(f"there is no GPU {index}; the driver finds {count}, counted from 0")
    return calls.plain("cuDeviceGet", index)


def _describe(calls: Calls, device: Any, index: int, version: str) -> DeviceInfo:
    kinds = calls.cuda.CUdevice_attribute

    def attribute(name: str) -> int:
        return int(calls.plain("cuDeviceGetAttribute", getattr(kinds, f"CU_DEVICE_ATTRIBUTE_{name}"), device))

    return DeviceInfo(
        index=index,
        name=calls.plain("cuDeviceGetName", 256, device).split(b"\0")[0].decode("utf-8", "replace"),
        compute_capability=(attribute("COMPUTE_CAPABILITY_MAJOR"), attribute("COMPUTE_CAPABILITY_MINOR")),
        memory=int(calls.plain("cuDeviceTotalMem", device)),
        integrated=bool(attribute("INTEGRATED")),
        driver=version,
        multiprocessors=attribute("MULTIPROCESSOR_COUNT"),
    )


def _package() -> str:
    for name in ("cuda-bindings", "cuda-python"):
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "cuda-bindings"
