"""A device engine for the fake driver: ONNX Runtime on the CPU, on the fake's memory by address.

It runs when the fake's stream gets there, and may be captured, so that true networks run in the true order. Nothing
that it gives is a GPU's result.
"""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.cuda.driver import Driver, Stream
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.ort import OnnxRuntimeEngine, open_model
from vultus.spec import ModelSpec

__all__ = ["HostDeviceEngine", "open_on_device", "view"]

CAPTURABLE = True
BATCH = (1, 65535)
"""What every engine here says of itself; tests set them before they open one."""

failures: list[str] = []
"""Tracebacks of runs that raised inside a stream, where nobody can catch them."""


def view(tensor: DeviceTensor) -> npt.NDArray[Any]:
    """Return the fake's memory of a tensor as an array."""
    raw = (ctypes.c_uint8 * tensor.nbytes).from_address(tensor.pointer)
    return np.ctypeslib.as_array(raw).view(tensor.dtype).reshape(tensor.shape)


class HostDeviceEngine:
    """An ONNX file on the fake."""

    def __init__(self, engine: OnnxRuntimeEngine, driver: Driver) -> None:
        self._engine, self._driver = engine, driver
        self.capturable, self.batch = CAPTURABLE, BATCH
        self.closed = False

    @property
    def spec(self) -> ModelSpec:
        return self._engine.spec

    @property
    def device(self) -> str:
        return f"{self._engine.device} on {self._driver.info.name}"

    def bind(self, batch: DeviceTensor) -> HostBinding:
        return HostBinding(self._engine, self._driver, batch)

    def close(self) -> None:
        self.closed = True
        self._engine.close()


class HostBinding:
    """One input at one address."""

    def __init__(self, engine: OnnxRuntimeEngine, driver: Driver, batch: DeviceTensor) -> None:
        self._engine, self._batch = engine, batch
        shapes = {name: array.shape for name, array in engine(np.zeros(batch.shape, np.float32)).items()}
        self._memory = {name: driver.allocate(4 * int(np.prod(shape))) for name, shape in shapes.items()}
        self.outputs: Mapping[str, DeviceTensor] = {
            name: DeviceTensor(self._memory[name].pointer, shape, np.dtype(np.float32))
            for name, shape in shapes.items()
        }
        self._run = host_function(self.compute)

    def compute(self) -> None:
        for name, array in self._engine(view(self._batch)).items():
            view(self.outputs[name])[...] = array

    def enqueue(self, stream: Stream) -> None:
        launch_host(self._run, stream)

    def close(self) -> None:
        for memory in self._memory.values():
            memory.close()


def host_function(work: Callable[[], None]) -> Any:
    """Return a C function for `launch_host`; keep it as long as streams or graphs may run it."""

    def run(_: object) -> None:
        try:
            work()
        except Exception:
            failures.append(traceback.format_exc())

    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(run)


def launch_host(function: Any, stream: Stream) -> None:
    """Put a host function into a stream of the fake."""
    library = ctypes.CDLL("libcuda.so.1")
    code = library.cuLaunchHostFunc(ctypes.c_void_p(stream.handle), function, None)
    if code:
        raise RuntimeError(f"cuLaunchHostFunc gives {code}")


def open_on_device(path: Path, driver: Driver) -> HostDeviceEngine:
    """Open an ONNX file for the fake, as the modules of `vultus.engines.device` do for a GPU."""
    return HostDeviceEngine(open_model(path, "cpu", 1), driver)
