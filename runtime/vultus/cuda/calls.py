"""cuda-bindings' functions: values instead of codes, DeviceError instead of failures, the context made current."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from vultus.cuda.guard import Guard
from vultus.errors import DeviceError

__all__ = ["Calls", "error_name", "raw", "vendor_module"]

NOT_READY = 600  # CUDA_ERROR_NOT_READY


def vendor_module() -> Any:
    """Return cuda-bindings' driver module, by its new path or by that of CUDA 12.6 and older."""
    try:
        return import_module("cuda.bindings.driver")
    except ModuleNotFoundError:
        return import_module("cuda.cuda")


class Calls:
    """The driver's functions in one device's primary context."""

    def __init__(self, cuda: Any, context: Any, guard: Guard) -> None:
        self.cuda = cuda
        self.guard = guard
        self._context = context
        self._address = int(context)

    def __call__(self, verb: str, *arguments: Any, detail: str = "") -> Any:
        """Call a function in the primary context and return its value: None, one, or a tuple."""
        self.guard.check(verb)
        with self.current():
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

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the primary context current in this thread; costs one call where it is current already."""
        self.guard.check("making the GPU's context current")
        if int(self.plain("cuCtxGetCurrent")) == self._address:
            yield
            return
        self.plain("cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            raw(self.cuda, "cuCtxPopCurrent")

    def release(self, verb: str, handle: Any) -> Callable[[], None]:
        """Return what frees a handle; it raises nothing, as a lost context has freed it already."""

        def free() -> None:
            if int(raw(self.cuda, "cuCtxPushCurrent", self._context)[0]):
                return
            raw(self.cuda, verb, handle)
            raw(self.cuda, "cuCtxPopCurrent")

        return free


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
