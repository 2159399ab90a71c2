"""The driver over pycuda: its contexts, and the driver's own library for the rest.

pycuda keeps a stack of contexts of its own for each thread. It is told of ours, so that its arrays may be made, used
and collected inside and outside of our work. Memory, streams and events do not pass through it: it frees them only in
the thread that made the context, it drops the driver's error codes, and it has no graphs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from vultus.cuda.driver import Driver
from vultus.cuda.driver.calls import Calls, raw
from vultus.cuda.driver.devices import find_device
from vultus.cuda.driver.guard import Guard
from vultus.cuda.driver.libcuda import LibCuda
from vultus.cuda.driver.verbs import Opened
from vultus.errors import DeviceError

__all__ = ["open_device"]


def open_device(index: int = 0) -> Driver:
    """Open a GPU; raises ImportError without the package and DeviceError when the driver refuses."""
    pycuda, version = import_module("pycuda.driver"), import_module("pycuda").VERSION_TEXT
    cuda, guard = LibCuda(), Guard()
    device, info = find_device(cuda, guard, index)
    context = _Context(pycuda, cuda, device)
    return Opened(_PycudaCalls(cuda, context, guard), info, f"pycuda {version}", context.release)


class _Context:
    """The primary context as pycuda holds it."""

    def __init__(self, pycuda: Any, cuda: LibCuda, device: int) -> None:
        pycuda.init()
        self._pycuda, self._cuda, self._device = pycuda, cuda, device
        self._context = pycuda.Device(device).retain_primary_context()
        self._here = threading.local()
        self._here.made = True
        self._released = False
        self.handle = int(self._context.handle)

    def agrees(self) -> bool:
        """Tell whether pycuda's stack and the driver's name the same context."""
        top = self._pycuda.Context.get_current()
        return top is None or int(top.handle) == raw(self._cuda, "cuCtxGetCurrent")[1]

    def push(self) -> None:
        """Put it on both stacks."""
        try:
            self._context.push()
        except self._pycuda.Error as error:
            raise DeviceError(f"making the GPU's context current failed: {error}") from error
        self._here.pushes = self._pushes() + 1

    def pop(self) -> None:
        """Take it off both stacks; off pycuda's even if the device is lost, since pycuda ends programs otherwise."""
        if not self._pushes():
            return
        self._here.pushes -= 1
        try:
            self._pycuda.Context.pop()
        except self._pycuda.Error:
            self.release()

    def _pushes(self) -> int:
        """Return how often it lies on this thread's stacks: another context of pycuda's may be equal to it."""
        pushes: int = getattr(self._here, "pushes", 0)
        return pushes

    def release(self) -> None:
        """Take the context off this thread's stacks and let it go; twice does nothing.

        pycuda releases it in the thread that made it alone, and leaves it current there.
        """
        if self._released:
            return
        self._released = True
        while self._pushes():
            self.pop()
        ours = getattr(self._here, "made", False)
        pushes = ours and self._may_be_pushed()
        with suppress(self._pycuda.Error):
            self._context.detach()
        self._pycuda.Context.get_current()  # takes what is no longer valid off pycuda's stack
        if pushes:
            raw(self._cuda, "cuCtxPopCurrent")
        elif not ours:
            raw(self._cuda, "cuDevicePrimaryCtxRelease", self._device)

    def _may_be_pushed(self) -> bool:
        if raw(self._cuda, "cuCtxPushCurrent", self.handle)[0]:
            return False
        raw(self._cuda, "cuCtxPopCurrent")
        return True


class _PycudaCalls(Calls):
    """Calls in a context that pycuda knows of."""

    def __init__(self, cuda: LibCuda, context: _Context, guard: Guard) -> None:
        super().__init__(cuda, context.handle, guard)
        self._theirs = context

    @contextmanager
    def pushed(self) -> Iterator[None]:
        """Put the primary context over the caller's; past pycuda when another library pushed over its context.

        pycuda's push takes the top of the driver's stack for its own and would throw away the other library's.
        """
        if not self._theirs.agrees():
            with super().pushed():
                yield
            return
        self._theirs.push()
        try:
            yield
        finally:
            self._theirs.pop()
