"""One execution context at fixed addresses: shape, activation memory and outputs are settled once, runs only enqueue.

Each binding has a context of its own, since a context holds one shape and a captured graph holds its addresses. Its
activation memory is what this shape needs, not what the largest of the profile would.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from vultus.cuda.driver import Driver, Stream
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.tensorrt_load import Loaded
from vultus.errors import DeviceError, ModelError, UsageError

__all__ = ["TensorRTBinding"]

DTYPES = {"FLOAT": np.float32, "HALF": np.float16, "INT32": np.int32, "INT64": np.int64}


class TensorRTBinding:
    """A TensorRT engine with its input and outputs at fixed addresses; see `vultus.engines.device.Binding`."""

    def __init__(self, loaded: Loaded, driver: Driver, batch: DeviceTensor) -> None:
        self._loaded, self._driver = loaded, driver
        self._batch = batch  # its owner must outlive the binding
        with ExitStack() as stack, driver.current():
            self._context: Any = stack.enter_context(_Held(driver, _context(loaded)))
            self._shape_input(batch)
            self._give_memory(stack)
            self._outputs = {name: self._output(name, stack) for name in _outputs_of(loaded)}
            self.capturable = self._warm_up()
            self._stack = stack.pop_all()

    @property
    def outputs(self) -> Mapping[str, DeviceTensor]:
        """The outputs by name; written by every run."""
        return self._outputs

    def enqueue(self, stream: Stream) -> None:
        """Run the engine on what its input holds when the stream gets there."""
        if self._context.held is None:
            raise UsageError(f"this binding of {self._loaded.file} is closed; bind again")
        with self._driver.current():
            self._run(stream)

    def close(self) -> None:
        """Free the context, its memory and the outputs. Closing twice does nothing."""
        self._outputs = {}
        self._stack.close()

    def _run(self, stream: Stream) -> None:
        said = len(self._loaded.said)
        if not self._context.held.execute_async_v3(stream.handle):
            reason = (self._loaded.said[said:] or ["it gives no reason"])[-1]
            raise DeviceError(f"{self._loaded.where} does not run {self._loaded.file}: {reason}")

    def _shape_input(self, batch: DeviceTensor) -> None:
        name, context = self._loaded.sidecar.spec.input.name, self._context.held
        if not context.set_input_shape(name, tuple(batch.shape)):
            raise self._loaded.refusal(f"does not take a batch {batch.shape} for")
        if not context.set_tensor_address(name, batch.pointer):
            raise self._loaded.refusal("does not take the address of the batch for")

    def _give_memory(self, stack: ExitStack) -> None:
        """Allocate what the context needs for its shape, where the bindings let the caller do so."""
        context = self._context.held
        if not hasattr(context, "set_device_memory"):
            return
        size = int(context.update_device_memory_size_for_shapes())
        if size:
            memory = self._driver.allocate(size)
            stack.callback(memory.close)
            context.set_device_memory(memory.pointer, size)

    def _output(self, name: str, stack: ExitStack) -> DeviceTensor:
        loaded, context = self._loaded, self._context.held
        shape = tuple(int(side) for side in context.get_tensor_shape(name))
        kind = loaded.engine.get_tensor_dtype(name).name
        if min(shape, default=1) < 1 or kind not in DTYPES:
            raise ModelError(
                f"{loaded.file} has an output {name!r} of type {kind} and shape {shape}; outputs must be FLOAT or "
                "HALF and have shapes that follow from the input's: export the model again"
            )
        dtype = np.dtype(DTYPES[kind])
        memory = self._driver.allocate(int(np.prod(shape)) * dtype.itemsize)
        stack.callback(memory.close)
        if not context.set_tensor_address(name, memory.pointer):
            raise loaded.refusal(f"does not take the address of output {name!r} for")
        return DeviceTensor(memory.pointer, shape, dtype, memory)

    def _warm_up(self) -> bool:
        """Run once, so that kernels are loaded before any capture; return whether a graph can hold the run."""
        stream = self._driver.stream()
        try:
            self._run(stream)
            stream.synchronise()
            context = self._context.held
            asks = hasattr(context, "is_stream_capturable")
            return not self._loaded.on_dla and (not asks or bool(context.is_stream_capturable(stream.handle)))
        finally:
            stream.close()


class _Held:
    """Holds a TensorRT object and lets go of it with the device's context current, as its destructor needs."""

    def __init__(self, driver: Driver, held: Any) -> None:
        self._driver, self.held = driver, held

    def __enter__(self) -> _Held:
        return self

    def __exit__(self, *_: object) -> None:
        with self._driver.current():
            self.held = None


def _context(loaded: Loaded) -> Any:
    """Return a new execution context whose activation memory the caller provides, where that can be."""
    trt, engine = loaded.trt, loaded.engine
    config = engine.create_runtime_config() if hasattr(engine, "create_runtime_config") else None
    user = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    if config is not None and hasattr(config, "dynamic_shapes_kernel_specialization_strategy"):
        # TensorRT-RTX compiles on the device: all of it now, none of it behind a running pipeline.
        eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        config.set_execution_context_allocation_strategy(user)
        context = engine.create_execution_context(config)
    elif hasattr(trt.IExecutionContext, "set_device_memory"):
        context = engine.create_execution_context(user)
    else:  # TensorRT 10.0 takes no size with the memory, so it keeps its own
        context = engine.create_execution_context()
    if context is None:
        raise loaded.refusal("cannot make an execution context for")
    return context


def _outputs_of(loaded: Loaded) -> list[str]:
    engine, output = loaded.engine, loaded.trt.TensorIOMode.OUTPUT
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    return [name for name in names if engine.get_tensor_mode(name) == output]
