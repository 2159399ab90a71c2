"""The driver over pycuda: its contexts, and the driver's own library for the rest.

pycuda keeps a stack of contexts of its own for each thread. It is told of ours, so that its arrays may be made, used
and collected inside and outside of our work. Memory, streams and events do not pass through it: it frees them only in
the thread that made the context, it drops the driver's error codes, and it has no graphs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from vultus.cuda.calls import Calls, raw
from vultus.cuda.devices import find_device
from vultus.cuda.driver import Driver
from vultus.cuda.guard import Guard
from vultus.cuda.libcuda import LibCuda
from vultus.cuda.verbs import Opened

__all__ = ["open_device"]


def open_device(index: int = 0) -> Driver:
    """Open a GPU; raises ImportError without the package and DeviceError when the driver refuses."""
    pycuda, version = import_module("pycuda.driver"), import_module("pycuda").VERSION_TEXT
    cuda, guard = LibCuda(), Guard()
    device, info = find_device(cuda, guard, index)
    pycuda.init()
    context = pycuda.Device(index).retain_primary_context()
    calls = _PycudaCalls(cuda, context, guard, pycuda)
    return Opened(calls, info, f"pycuda {version}", _releaser(cuda, pycuda, context, device))


class _PycudaCalls(Calls):
    """Calls in a context that pycuda knows of."""

    def __init__(self, cuda: LibCuda, context: Any, guard: Guard, pycuda: Any) -> None:
        super().__init__(cuda, context.handle, guard)
        self._pycuda = pycuda
        self._theirs = context

    def _agrees(self) -> bool:
        """Tell whether pycuda's stack and the driver's name the same context."""
        top = self._pycuda.Context.get_current()
        return top is None or int(top.handle) == int(self.plain("cuCtxGetCurrent"))

    @contextmanager
    def pushed(self) -> Iterator[None]:
        """Put the primary context over the caller's; past pycuda when another library pushed over its context.

        pycuda's push takes the top of the driver's stack for its own and would throw away the other library's.
        """
        if not self._agrees():
            with super().pushed():
                yield
            return
        self._theirs.push()
        try:
            yield
        finally:
            if not self.guard.closed:
                self._pycuda.Context.pop()


def _releaser(cuda: LibCuda, pycuda: Any, context: Any, device: int) -> Callable[[], None]:
    maker = threading.get_ident()

    def release() -> None:
        while pycuda.Context.get_current() == context:
            pycuda.Context.pop()
        _, before = raw(cuda, "cuCtxGetCurrent")
        context.detach()
        if threading.get_ident() != maker:  # pycuda releases in the thread of the context alone
            raw(cuda, "cuDevicePrimaryCtxRelease", device)
        elif raw(cuda, "cuCtxGetCurrent")[1] != before:  # and leaves the context that it made current for it
            raw(cuda, "cuCtxPopCurrent")

    return release
