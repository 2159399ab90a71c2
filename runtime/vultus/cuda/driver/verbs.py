"""The verbs of `vultus.cuda.driver.Driver`, whichever package carries the calls."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from vultus.cuda.driver import Argument, DeviceInfo, Function, Graph, Stream
from vultus.cuda.driver.calls import Calls, raw
from vultus.cuda.driver.guard import Guard
from vultus.cuda.driver.memory import BoundDeviceMemory, BoundHostMemory
from vultus.cuda.driver.streams import BoundEvent, BoundFunction, BoundGraph, BoundModule, BoundStream, own

__all__ = ["Opened"]

THREAD_LOCAL = "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL"


class Opened:
    """One GPU's primary context, opened; see `vultus.cuda.driver.Driver`."""

    def __init__(self, calls: Calls, info: DeviceInfo, package: str, release: Callable[[], object]) -> None:
        self._calls = calls
        self._info = info
        self._package = package
        self._release = weakref.finalize(calls, _close, calls.guard, release)  # all it made keeps calls alive
        self._copy_kind = calls.cuda.CUmemorytype.CU_MEMORYTYPE_UNIFIED
        self._capture_mode = getattr(calls.cuda.CUstreamCaptureMode, THREAD_LOCAL)

    @property
    def info(self) -> DeviceInfo:
        """What the device is."""
        return self._info

    @property
    def package(self) -> str:
        """The package that speaks to the driver, with its version."""
        return self._package

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
                code, left = raw(self._calls.cuda, "cuStreamEndCapture", stream.handle)
                if not code:
                    raw(self._calls.cuda, "cuGraphDestroy", left)
                raise
            graphs.append(BoundGraph(self._calls, self._calls("cuStreamEndCapture", stream.handle)))

    def free_memory(self) -> int:
        """Return the free bytes on the device."""
        return int(self._calls("cuMemGetInfo")[0])

    def close(self) -> None:
        """Release the primary context; twice does nothing."""
        self._release()


def _close(guard: Guard, release: Callable[[], object]) -> None:
    """Release the context, a lost one too: only then can the next driver get a fresh one."""
    here, guard.closed = guard.here, True
    if here:
        release()
