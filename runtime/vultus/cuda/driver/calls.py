"""The driver's functions: values instead of codes, DeviceError instead of failures, the context made current."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from vultus.cuda.driver.guard import Guard
from vultus.errors import DeviceError

__all__ = ["Calls", "error_name", "raw"]

NOT_READY = 600  # CUDA_ERROR_NOT_READY

IN_STREAMS = frozenset(
    (
        "cuEventElapsedTime",
        "cuEventRecord",
        "cuEventSynchronize",
        "cuGraphLaunch",
        "cuLaunchKernel",
        "cuMemcpy2DAsync",
        "cuMemcpyAsync",
        "cuMemsetD8Async",
        "cuStreamSynchronize",
        "cuStreamWaitEvent",
    )
)
"""What a frame is made of. Their handles belong to a context, so that in another one they work alike or are refused."""


class _Here(threading.local):
    """What a thread knows of its context. sure: it is inside of `Calls.current`."""

    sure = False


class Calls:
    """The driver's functions in one device's primary context.

    cuda: cuda-bindings' driver module, or what speaks as it does: every function returns its code and its values.
    """

    def __init__(self, cuda: Any, context: Any, guard: Guard) -> None:
        self.cuda = cuda
        self.guard = guard
        self._context = context
        self._address = int(context)
        self.here = _Here()

    def __call__(self, verb: str, *arguments: Any, detail: str = "") -> Any:
        """Call a function in the primary context and return its value: None, one, or a tuple.

        Inside of `current` the steps of a frame do not ask first: asking would cost as much as many of them. Where
        other code has left another context behind, the driver refuses, and the step is taken again in ours.
        """
        self.guard.check(verb)
        if self.here.sure and verb in IN_STREAMS:
            code, value = raw(self.cuda, verb, *arguments)
            if not code:
                return value
            if self.is_current():
                raise self.guard.failure(error_name(self.cuda, code), verb, detail)
        if self.is_current():
            return self.plain(verb, *arguments, detail=detail)
        with self.pushed():
            return self.plain(verb, *arguments, detail=detail)

    def plain(self, verb: str, *arguments: Any, detail: str = "") -> Any:
        """Call a function in whatever context is current."""
        code, value = raw(self.cuda, verb, *arguments)
        if code:
            raise self.guard.failure(error_name(self.cuda, code), verb, detail)
        return value

    def ready(self, verb: str, handle: Any) -> bool:
        """Ask whether work is done."""
        self.guard.check(verb)
        with self.current():
            code, _ = raw(self.cuda, verb, handle)
        if code not in (0, NOT_READY):
            raise self.guard.failure(error_name(self.cuda, code), verb)
        return not code

    def is_current(self) -> bool:
        """Tell whether this thread is in the primary context."""
        return int(self.plain("cuCtxGetCurrent")) == self._address

    def current(self) -> AbstractContextManager[None]:
        """Make the primary context current in this thread; costs one call where it is current already."""
        self.guard.check("making the GPU's context current")
        return _Current(self, None if self.is_current() else self.pushed())

    @contextmanager
    def pushed(self) -> Iterator[None]:
        """Put the primary context over the caller's, and take it off again."""
        self.plain("cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            raw(self.cuda, "cuCtxPopCurrent")

    def release(self, verb: str, handle: Any) -> Callable[[], None]:
        """Return what frees a handle; it raises nothing, as a lost context has freed it already."""

        def free() -> None:
            with suppress(DeviceError), self.pushed():
                raw(self.cuda, verb, handle)

        return free


class _Current:
    """The primary context on top, and this thread sure of it; pushed: what puts it there, where that is needed."""

    def __init__(self, calls: Calls, pushed: AbstractContextManager[None] | None) -> None:
        self._here, self._pushed = calls.here, pushed

    def __enter__(self) -> None:
        if self._pushed is not None:
            self._pushed.__enter__()
        self._before, self._here.sure = self._here.sure, True

    def __exit__(self, *error: Any) -> None:
        self._here.sure = self._before
        if self._pushed is not None:
            self._pushed.__exit__(*error)


def raw(cuda: Any, verb: str, *arguments: Any) -> tuple[int, Any]:
    """Call a function of the driver; return its code, 0 for success, and its value."""
    try:
        code, *values = getattr(cuda, verb)(*arguments)
    except (AttributeError, RuntimeError) as error:  # neither the package nor the driver has the function
        raise DeviceError(
            f"{verb} cannot be called: {error}; update the NVIDIA driver and cuda-bindings"
        ) from error
    return int(code), values[0] if len(values) == 1 else tuple(values) or None


def error_name(cuda: Any, code: int) -> str:
    """Return the driver's name of an error, as CUDA_ERROR_OUT_OF_MEMORY."""
    try:
        _, name = cuda.cuGetErrorName(cuda.CUresult(code))
    except (ValueError, RuntimeError):
        name = None
    return name.decode() if name else f"CUDA error {code}"
