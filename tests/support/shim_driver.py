"""A Driver whose device is the host: memory is numpy's, launches run the shipped kernels through the shim at once.

It is for the arithmetic of kernels and of the classes that launch them. Streams, contexts and faults are the business
of the fake driver library, under the shipped driver layer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from shim import open_shim
from vultus.cuda.code.modules import Kernels
from vultus.cuda.driver import (
    Argument,
    DeviceInfo,
    DeviceMemory,
    Event,
    Function,
    Graph,
    HostMemory,
    Module,
    Stream,
)
from vultus.cuda.tensors import DeviceTensor
from vultus.errors import DeviceError

__all__ = ["ShimDriver", "kernels_on", "read", "tensor_of"]

POISON = 0xCD
"""What fresh memory holds, as whoever reads it before it was written should notice."""


@dataclass
class Memory:
    """Bytes of the host that play device memory."""

    array: npt.NDArray[np.uint8]
    device_pointer: int = 0

    @property
    def pointer(self) -> int:
        return int(self.array.ctypes.data)

    @property
    def size(self) -> int:
        return int(self.array.size)

    def close(self) -> None:
        """Numpy frees it."""


@dataclass(frozen=True)
class HostStream:
    """Everything is done when a verb returns."""

    handle: int = 0

    def synchronise(self) -> None:
        """Nothing is left to wait for."""

    def wait(self, event: Event) -> None:
        """Nothing is left to wait for."""

    def close(self) -> None:
        """Nothing to free."""


@dataclass(frozen=True)
class HostFunction:
    """A kernel of the shim library."""

    name: str


class HostModule:
    """All kernels of the shim library."""

    def function(self, name: str) -> HostFunction:
        if not hasattr(open_shim(), f"shim_{name}"):
            raise DeviceError(f"no kernel {name!r} is among the sources")
        return HostFunction(name)

    def close(self) -> None:
        """The library stays loaded."""


@dataclass
class ShimDriver:
    """launched: names of the kernels and fills, in order. multiprocessors: what grids are sized for."""

    multiprocessors: int = 2
    allocations: int = 0
    launched: list[str] = field(default_factory=list)
    package: str = "g++"

    @property
    def info(self) -> DeviceInfo:
        return DeviceInfo(0, "shim", (7, 5), 1 << 30, True, "13.0", self.multiprocessors)

    @contextmanager
    def current(self) -> Iterator[None]:
        yield

    def allocate(self, size: int) -> Memory:
        if size < 1:
            raise DeviceError(f"{size} bytes cannot be allocated")
        self.allocations += 1
        return Memory(np.full(size, POISON, np.uint8))

    def allocate_host(self, size: int, mapped: bool = False) -> HostMemory:
        memory = self.allocate(size)
        memory.device_pointer = memory.pointer if mapped else 0
        return memory

    def copy(self, target: int, source: int, size: int, stream: Stream) -> None:
        ctypes.memmove(target, source, size)

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
        for row in range(rows):
            ctypes.memmove(target + row * target_pitch, source + row * source_pitch, width)

    def fill(self, target: int, value: int, size: int, stream: Stream) -> None:
        self.launched.append("fill")
        ctypes.memset(target, value, size)

    def stream(self) -> HostStream:
        return HostStream()

    def event(self, timing: bool = False) -> Event:
        raise DeviceError("the shim has no events")

    def load(self, image: bytes) -> Module:
        return HostModule()

    def launch(
        self,
        function: Function,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: Stream,
    ) -> None:
        self.launched.append(function.name)
        pointers = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        sizes = [ctypes.c_uint(size) for size in (*grid, *block)]
        getattr(open_shim(), f"shim_{function.name}")(pointers, *sizes)

    @contextmanager
    def capture(self, stream: Stream) -> Iterator[list[Graph]]:
        raise DeviceError("the shim has no graphs")
        yield []

    def free_memory(self) -> int:
        return 1 << 30

    def close(self) -> None:
        """Nothing to free."""


def kernels_on(driver: ShimDriver) -> Kernels:
    """Return the kernels for a driver of this module."""
    return Kernels(driver.load(b""), "g++ and the shim")


def tensor_of(array: npt.NDArray[Any]) -> DeviceTensor:
    """Return a tensor at an array's own address; what is written to it is written to the array."""
    if not array.flags.c_contiguous:
        raise ValueError("a device tensor is dense")
    return DeviceTensor(int(array.ctypes.data), array.shape, array.dtype, array)


def read(memory: DeviceMemory, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a copy of what the first bytes of device memory hold."""
    kind = np.dtype(dtype)
    data = ctypes.string_at(memory.pointer, int(np.prod(shape)) * kind.itemsize)
    return np.frombuffer(data, kind).reshape(shape).copy()
