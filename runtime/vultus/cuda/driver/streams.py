"""Streams, events, loaded code and graphs over cuda-bindings."""

from __future__ import annotations

import weakref
from typing import Any, TypeVar

from vultus.cuda.driver import Event, Stream
from vultus.cuda.driver.calls import Calls
from vultus.errors import DeviceError

__all__ = ["BoundEvent", "BoundFunction", "BoundGraph", "BoundModule", "BoundStream", "own"]

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
DISABLE_TIMING = 2  # CU_EVENT_DISABLE_TIMING

Bound = TypeVar("Bound")


def own(thing: object, kind: type[Bound]) -> Bound:
    """Return the thing as what this package made; refuse what another one made."""
    if isinstance(thing, kind):
        return thing
    raise DeviceError(f"{type(thing).__name__} came from another driver package; expected {kind.__name__}")


class _Owned:
    """A handle of the driver, freed by `close` or when it is forgotten."""

    def __init__(self, calls: Calls, raw: Any, freed_by: str) -> None:
        self._calls = calls
        self.raw = raw
        self._free = weakref.finalize(self, calls.guard.free, calls.release(freed_by, raw))

    def close(self) -> None:
        """Free it; twice does nothing."""
        self._free()


class BoundStream(_Owned):
    """A queue of work that does not wait for the default stream."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls, calls("cuStreamCreate", NON_BLOCKING), "cuStreamDestroy")
        self.handle = int(self.raw)

    def synchronise(self) -> None:
        """Wait until the stream is empty."""
        self._calls("cuStreamSynchronize", self.raw)

    def wait(self, event: Event) -> None:
        """Let later work wait for the event."""
        self._calls("cuStreamWaitEvent", self.raw, own(event, BoundEvent).raw, 0)


class BoundEvent(_Owned):
    """A mark in a stream."""

    def __init__(self, calls: Calls, timing: bool) -> None:
        flags = 0 if timing else DISABLE_TIMING
        super().__init__(calls, calls("cuEventCreate", flags), "cuEventDestroy")

    def record(self, stream: Stream) -> None:
        """Put the mark behind what the stream holds now."""
        self._calls("cuEventRecord", self.raw, stream.handle)

    def synchronise(self) -> None:
        """Wait until the mark is reached."""
        self._calls("cuEventSynchronize", self.raw)

    def done(self) -> bool:
        """Tell whether the mark is reached."""
        return self._calls.ready("cuEventQuery", self.raw)

    def milliseconds_since(self, earlier: Event) -> float:
        """Return the device time since another mark."""
        return float(self._calls("cuEventElapsedTime", own(earlier, BoundEvent).raw, self.raw))


class BoundFunction:
    """One kernel; it keeps its module loaded."""

    def __init__(self, module: BoundModule, name: str, raw: Any) -> None:
        self.name = name
        self.raw = raw
        self._module = module


class BoundModule(_Owned):
    """Loaded device code."""

    def __init__(self, calls: Calls, image: bytes) -> None:
        self._image = image
        super().__init__(calls, calls("cuModuleLoadData", image), "cuModuleUnload")

    def function(self, name: str) -> BoundFunction:
        """Return a kernel by its C name."""
        detail = f"the module has no kernel {name!r}"
        return BoundFunction(
            self, name, self._calls("cuModuleGetFunction", self.raw, name.encode(), detail=detail)
        )


class BoundGraph(_Owned):
    """Captured work."""

    def __init__(self, calls: Calls, captured: Any) -> None:
        try:
            super().__init__(calls, calls("cuGraphInstantiate", captured, 0), "cuGraphExecDestroy")
        finally:
            calls("cuGraphDestroy", captured)

    def launch(self, stream: Stream) -> None:
        """Enqueue the whole graph."""
        self._calls("cuGraphLaunch", self.raw, stream.handle)
