"""What the device path asks of a CUDA driver: a dozen verbs, spoken by cuda-bindings or by pycuda.

Everything happens in the device's primary context. `Driver.current` makes it current for a while and puts the
caller's back, so vultus works beside any other CUDA code and in any thread. Copies and launches only enqueue;
whoever needs the bytes synchronises the stream or an event. Every verb raises DeviceError, with the driver's own
name of the error, when the driver refuses.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vultus.cuda.driver.faults import FORKED, closed_files, require_driver
from vultus.engines.devices import cuda_problem
from vultus.errors import DeviceError

__all__ = [
    "Argument",
    "DeviceInfo",
    "DeviceMemory",
    "Driver",
    "Event",
    "Function",
    "Graph",
    "HostMemory",
    "Module",
    "Stream",
    "open_driver",
]

Argument = ctypes.c_void_p | ctypes.c_int | ctypes.c_float | ctypes.c_uint
"""What a kernel takes: pointers as c_void_p, numbers as c_int, c_uint or c_float, in the order of its parameters."""

PACKAGES = {"cuda-bindings": "vultus.cuda.driver.over_bindings", "pycuda": "vultus.cuda.driver.over_pycuda"}
"""Package that speaks to the driver -> module that offers `open_device(index) -> Driver`, in order of preference."""


@dataclass(frozen=True)
class DeviceInfo:
    """One GPU. memory: bytes. integrated: shares its memory with the host, as on a Jetson. driver: CUDA version."""

    index: int
    name: str
    compute_capability: tuple[int, int]
    memory: int
    integrated: bool
    driver: str
    multiprocessors: int


class DeviceMemory(Protocol):
    """Bytes on the device, freed by `close` (twice does nothing) or when the owner forgets them."""

    @property
    def pointer(self) -> int:
        """Device address of the first byte."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    def close(self) -> None:
        """Free the memory."""


class HostMemory(Protocol):
    """Page-locked bytes on the host."""

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """The bytes, (size,) uint8; views of it die with `close`."""

    @property
    def pointer(self) -> int:
        """Host address of the first byte."""

    @property
    def device_pointer(self) -> int:
        """Address at which the device sees the same bytes; 0 when the memory was not asked for as mapped."""

    def close(self) -> None:
        """Free the memory."""


class Event(Protocol):
    """A mark in a stream."""

    def record(self, stream: Stream) -> None:
        """Put the mark behind what the stream holds now."""

    def synchronise(self) -> None:
        """Wait until the mark is reached; releases the GIL."""

    def done(self) -> bool:
        """Tell whether the mark is reached."""

    def milliseconds_since(self, earlier: Event) -> float:
        """Return the device time between two reached marks; both were made with timing."""

    def close(self) -> None:
        """Free the event."""


class Stream(Protocol):
    """A queue of work on the device."""

    @property
    def handle(self) -> int:
        """The CUstream as a number, for engines that take one."""

    def synchronise(self) -> None:
        """Wait until the stream is empty; releases the GIL."""

    def wait(self, event: Event) -> None:
        """Let later work of this stream wait for the event."""

    def close(self) -> None:
        """Free the stream."""


class Function(Protocol):
    """One kernel of a loaded module."""

    @property
    def name(self) -> str:
        """The kernel's name."""


class Module(Protocol):
    """Loaded device code."""

    def function(self, name: str) -> Function:
        """Return a kernel by its C name; raises DeviceError when the module has none of that name."""

    def close(self) -> None:
        """Unload the code."""


class Graph(Protocol):
    """Captured work that is launched as one."""

    def launch(self, stream: Stream) -> None:
        """Enqueue the whole graph."""

    def close(self) -> None:
        """Free the graph."""


class Driver(Protocol):
    """One device through one package."""

    @property
    def info(self) -> DeviceInfo:
        """What the device is."""

    @property
    def package(self) -> str:
        """The package that speaks to the driver, with its version."""

    @property
    def allocations(self) -> int:
        """How many times device or host memory was allocated since the driver was opened."""

    def current(self) -> AbstractContextManager[None]:
        """Make the primary context current in this thread and restore the caller's afterwards; may nest."""

    def allocate(self, size: int) -> DeviceMemory:
        """Allocate device memory; DeviceError tells how much was asked for and how much was free."""

    def allocate_host(self, size: int, mapped: bool = False) -> HostMemory:
        """Allocate page-locked host memory; mapped: the device may address it too (zero copy on a Jetson)."""

    def copy(self, target: int, source: int, size: int, stream: Stream) -> None:
        """Copy bytes between any two addresses, host or device, page-locked or not."""

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
        """Copy `rows` rows of `width` bytes between pictures of different pitches."""

    def fill(self, target: int, value: int, size: int, stream: Stream) -> None:
        """Set device bytes."""

    def stream(self) -> Stream:
        """Make a stream that does not wait for the default one."""

    def event(self, timing: bool = False) -> Event:
        """Make an event; timing: it can measure."""

    def load(self, image: bytes) -> Module:
        """Load a fatbin, cubin or PTX; DeviceError when it holds no code for this device."""

    def launch(
        self,
        function: Function,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: Stream,
    ) -> None:
        """Enqueue a kernel."""

    def capture(self, stream: Stream) -> AbstractContextManager[list[Graph]]:
        """Capture what the body enqueues in the stream; the yielded list holds the graph after the body."""

    def free_memory(self) -> int:
        """Return the free bytes on the device."""

    def close(self) -> None:
        """Release the primary context; what was made with this driver must be closed before."""


_ABSENT = ("cuda", "cuda.bindings", "cuda.cuda", "pycuda")
_processes: set[int] = set()  # that opened a driver; a child inherits its parent's


def open_driver(index: int = 0, package: str | None = None) -> Driver:
    """Open a GPU with the first package that is installed, or with the one that is named.

    Raises DeviceError when there is no driver, no such GPU or no package, when the driver is too old, or when this
    process was forked from one that had opened a GPU; asking touches nothing that can crash.
    """
    if package is not None and package not in PACKAGES:
        raise DeviceError(f"no driver package {package!r} is known; expected one of {', '.join(PACKAGES)}")
    _require_usable()
    problems = []
    for name in [package] if package else PACKAGES:
        try:
            driver: Driver = import_module(PACKAGES[name]).open_device(index)
        except ImportError as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name in _ABSENT
            problems.append(f"{name} is not installed" if missing else f"{name} does not load ({error})")
            continue
        _processes.add(os.getpid())
        return driver
    raise DeviceError(
        f"a GPU is there, but no package speaks to it: {' and '.join(problems)}; pip install 'vultus[gpu]'"
    )


def _require_usable() -> None:
    """Refuse what can be told without any package; a forked child's driver tells nothing useful by itself."""
    if _processes and os.getpid() not in _processes:
        raise DeviceError(f"no GPU can be opened here: {FORKED}")
    if problem := cuda_problem():
        hint = closed_files()
        raise DeviceError(f"no CUDA device can be used: {problem}" + (f"; {hint}" if hint else ""))
    version = ctypes.c_int(0)
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    require_driver(version.value)
