"""Engines and contexts of a recorded TensorRT that really run: ONNX Runtime computes in the memory of the fake driver.

They hold the caller to TensorRT's rules: shapes within the profile, every address set, memory given where the caller
manages it and large enough, work in the order of the stream.
"""

from __future__ import annotations

import base64
import ctypes
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx

from recorded_base import Recorded

__all__ = ["ICudaEngine", "IExecutionContext", "IRuntimeConfig", "plan_of"]

MEMORY = 4096
"""Bytes of activation memory for each picture."""


def plan_of(model: Path, version: str, profile: list[list[int]]) -> bytes:
    """Return the serialised engine of an ONNX file; profile: least, best and most shape of its input."""
    graph = onnx.load(model).graph
    values = [*graph.input, *graph.output]
    sides = [(v.name, [d.dim_value or -1 for d in v.type.tensor_type.shape.dim]) for v in values]
    plan = {
        "version": version,
        "layers": [],
        "tensors": sides,
        "inputs": len(graph.input),
        "profile": {graph.input[0].name: profile},
        "model": base64.b64encode(model.read_bytes()).decode(),
    }
    return json.dumps(plan).encode()


class ICudaEngine(Recorded):
    device_memory_size = 4 << 20
    device_memory_size_v2 = 5 << 20

    def __init__(self, plan: Any, logger: Any = None) -> None:
        self._plan, self._logger = plan, logger
        self.num_io_tensors = len(plan["tensors"])

    def create_engine_inspector(self) -> Any:
        return self.trt.EngineInspector(self._plan)

    def create_runtime_config(self) -> Any:
        return self.trt.IRuntimeConfig()

    def create_execution_context(self, strategy: Any = None) -> Any:
        if self.trt.board.context_error:
            self._logger.log(self.trt.ILogger.Severity.ERROR, self.trt.board.context_error)
            return None
        config = getattr(self.trt, "IRuntimeConfig", None)
        given = strategy._strategy if config and isinstance(strategy, config) else strategy
        user = given == self.trt.ExecutionContextAllocationStrategy.USER_MANAGED if strategy else False
        return self.trt.IExecutionContext(self._plan, self._logger, user)

    def get_tensor_name(self, index: int) -> str:
        return str(self._plan["tensors"][index][0])

    def get_tensor_mode(self, name: str) -> Any:
        names = [tensor[0] for tensor in self._plan["tensors"]]
        modes = self.trt.TensorIOMode
        return modes.INPUT if names.index(name) < self._plan["inputs"] else modes.OUTPUT

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert profile_index == 0
        return [tuple(shape) for shape in self._plan["profile"][name]]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(itemsize=4, name=self.trt.DataType.FLOAT.name)


class IRuntimeConfig(Recorded):
    _strategy: Any = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self._strategy = strategy


class IExecutionContext(Recorded):
    profiler: Any = None

    def __init__(self, plan: Any, logger: Any = None, user_memory: bool = False) -> None:
        self._plan, self._logger, self._user_memory = plan, logger, user_memory
        self._batch, self._size = 0, 0
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()
        self._session: Any = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._waiting: list[Any] = []

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self._plan["profile"][name]
        if not all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True)):
            return self._refuse(f"setInputShape: shape {shape} is not in the profile")
        self._batch, self._shape, self._shapes = shape[0], tuple(shape), {}
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return memory != 0 and memory % 256 == 0

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if not self._shapes:
            self._shapes = {k: v.shape for k, v in self._computed(np.zeros(self._shape, np.float32)).items()}
        return self._shapes.get(name, self._shape)

    def update_device_memory_size_for_shapes(self) -> int:
        return self._batch * MEMORY

    def set_device_memory(self, memory: int, size: int) -> None:
        self._size = size if memory else 0

    def is_stream_capturable(self, stream: int) -> bool:
        return stream != 0 and not self.trt.board.refuses_capture

    def execute_v2(self, bindings: list[int]) -> bool:
        for layer in self._plan["layers"]:
            self.profiler.report_layer_time(layer["Name"], 3.0 if "stem" in layer["Name"] else 0.25)
        return len(bindings) == len(self._plan["tensors"]) and all(bindings)

    def execute_async_v3(self, stream_handle: int) -> bool:
        if self.trt.board.run_error:
            return self._refuse(self.trt.board.run_error)
        if missing := {tensor[0] for tensor in self._plan["tensors"]} - self._addresses.keys():
            return self._refuse(f"enqueueV3: no address for {sorted(missing)}")
        if self._user_memory and self._size < self._batch * MEMORY:
            return self._refuse("enqueueV3: the device memory is too small")
        _in_order(stream_handle, self._run, self._waiting)
        return True

    def _run(self) -> None:
        values = self._computed(_array(self._addresses[self._plan["tensors"][0][0]], self._shape).copy())
        for name, value in values.items():
            _array(self._addresses[name], value.shape)[...] = value

    def _computed(self, batch: Any) -> dict[str, Any]:
        import onnxruntime

        if self._session is None:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            self._session = onnxruntime.InferenceSession(
                base64.b64decode(self._plan["model"]), options, providers=["CPUExecutionProvider"]
            )
        names = [tensor[0] for tensor in self._plan["tensors"]]
        outputs = names[self._plan["inputs"] :]
        return dict(zip(outputs, self._session.run(outputs, {names[0]: batch}), strict=True))

    def _refuse(self, text: str) -> bool:
        self._logger.log(self.trt.ILogger.Severity.ERROR, text)
        return False


def _array(address: int, shape: tuple[int, ...]) -> Any:
    """Return the float32 array at a fake device address, which is one of the host."""
    kind = ctypes.c_float * int(np.prod(shape))
    return np.ctypeslib.as_array(kind.from_address(address)).reshape(shape)


def _in_order(stream: int, run: Any, kept: list[Any]) -> None:
    """Let a stream of the fake driver call a function when it gets there."""
    driver = ctypes.CDLL("libcuda.so.1")
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: run())
    kept.append(call)
    code = driver.cuLaunchHostFunc(ctypes.c_void_p(stream), call, None)
    assert code == 0, code
