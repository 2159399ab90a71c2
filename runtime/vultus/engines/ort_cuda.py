"""ONNX Runtime's CUDA provider on device memory: inputs and outputs bound by address, nothing copied to the host.

A session keeps the stream it was made with, so the engine has a stream of its own and ties it to the caller's by
events: the device waits, the host does not. ONNX Runtime allocates while it runs, so no CUDA graph can hold a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from vultus.cuda.driver import Driver, Stream
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.contract import check_batch, check_contract, check_count
from vultus.engines.device import UNLIMITED
from vultus.errors import DeviceError, ModelError, UsageError, VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec

__all__ = ["OrtBinding", "OrtCudaEngine", "open_on_device", "open_session"]

PROVIDER = "CUDAExecutionProvider"
NO_PROVIDER = (
    "this ONNX Runtime has no CUDA provider: pip uninstall onnxruntime, then pip install 'vultus[gpu]'; on a "
    "Jetson build an engine in its place: vultus-export engine MODEL.onnx --out DIR"
)


def open_on_device(path: Path, driver: Driver) -> OrtCudaEngine:
    """Open an ONNX file with its spec on the driver's device.

    Raises DeviceError when ONNX Runtime has no CUDA provider, does not use it or would run a part of the model on
    the CPU; ModelError for a damaged file, SpecError for one without a usable spec.
    """
    import onnxruntime

    spec = spec_from_onnx(path)
    if PROVIDER not in onnxruntime.get_available_providers():
        raise DeviceError(f"{path.name} cannot run on {driver.info.name}: {NO_PROVIDER}")
    with ExitStack() as stack:
        stream = driver.stream()
        stack.callback(stream.close)
        with driver.current():
            session = open_session(path, spec, PROVIDER, _options(driver, stream))
        engine = OrtCudaEngine(session, spec, path, driver, stream)
        stack.pop_all()
    return engine


def open_session(path: Path, spec: ModelSpec, provider: str, options: Mapping[str, str]) -> Any:
    """Return a session that runs the whole model on one provider, or raise DeviceError or ModelError."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    if provider == PROVIDER:
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    # FP16 scales in Q/DQ come out wrong unless this optimiser is off.
    disabled = ["WeightBiasQuantization"] if spec.precision == "int8-fp16" else []
    try:
        session = onnxruntime.InferenceSession(
            str(path),
            settings,
            providers=[(provider, dict(options))],
            disabled_optimizers=disabled,
            enable_fallback=0,
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no public base
        raise _refused(f"ONNX Runtime cannot open {path}", error) from error
    used = session.get_providers()[0]
    if used != provider:
        raise DeviceError(
            f"{provider} was asked for, but ONNX Runtime runs {path.name} on {used}; "
            "check the CUDA and cuDNN libraries with: vultus doctor"
        )
    return session


class OrtCudaEngine:
    """One session and its bindings. Use it from one thread at a time.

    memory: where ONNX Runtime finds the addresses, in its own words.
    """

    capturable = False

    def __init__(
        self, session: Any, spec: ModelSpec, path: Path, driver: Driver, stream: Stream, memory: str = "cuda"
    ) -> None:
        self.session, self.driver, self.stream, self.memory = session, driver, stream, memory
        self.file = path.name
        self._spec = spec
        self._bindings: list[OrtBinding] = []
        inputs = {value.name: value.shape for value in session.get_inputs()}
        check_contract(list(inputs), [value.name for value in session.get_outputs()], spec, str(path))
        self._batch = inputs[spec.input.name][0]
        self._provider = session.get_providers()[0].removesuffix("ExecutionProvider")

    @property
    def spec(self) -> ModelSpec:
        """The contract that the model carries."""
        return self._spec

    @property
    def device(self) -> str:
        """Engine, device and precision that really run the model."""
        import onnxruntime

        gpu = self.driver.info.name
        return f"ONNX Runtime {onnxruntime.__version__} {self._provider} on {gpu}, {self._spec.precision}"

    @property
    def batch(self) -> tuple[int, int]:
        """Least and most pictures that the model takes at once."""
        fixed = isinstance(self._batch, int)
        return (self._batch, self._batch) if fixed else (1, UNLIMITED)

    def bind(self, batch: DeviceTensor) -> OrtBinding:
        """Fix the input at the address of `batch`; runs twice, once to learn the outputs' shapes.

        Raises InputError for a batch that the model does not take, DeviceError when memory runs out.
        """
        if self.session is None:
            raise UsageError(f"the engine of {self.file} is closed; open it again")
        check_batch(batch.shape, batch.dtype, self._spec, self.file)
        check_count(batch.shape[0], self.batch, self.file)
        binding = OrtBinding(self, batch)
        self._bindings.append(binding)
        return binding

    def close(self) -> None:
        """Free the session and what is still bound; further calls raise UsageError. Twice does nothing."""
        for binding in self._bindings:
            binding.close()
        self._bindings.clear()
        if self.session is not None:
            with self.driver.current():
                self.session = None
            self.stream.close()


class OrtBinding:
    """A session with its input and outputs at fixed addresses; see `vultus.engines.device.Binding`."""

    def __init__(self, engine: OrtCudaEngine, batch: DeviceTensor) -> None:
        import onnxruntime

        self._engine = engine
        self._batch = batch  # its owner must outlive the binding
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        with ExitStack() as stack, engine.driver.current():
            self._binding: Any = engine.session.io_binding()
            self._bind_input(batch)
            self._outputs = self._bound_outputs(self._shapes(), stack)
            self._before, self._after = engine.driver.event(), engine.driver.event()
            stack.callback(self._before.close)
            stack.callback(self._after.close)
            self._run()
            engine.stream.synchronise()
            self._stack = stack.pop_all()

    @property
    def outputs(self) -> Mapping[str, DeviceTensor]:
        """The outputs by name; written by every run."""
        return self._outputs

    def enqueue(self, stream: Stream) -> None:
        """Run the model on what its input holds when the stream gets there."""
        if self._binding is None:
            raise UsageError(f"this binding of {self._engine.file} is closed; bind again")
        with self._engine.driver.current():
            self._before.record(stream)
            self._engine.stream.wait(self._before)
            self._run()
            self._after.record(self._engine.stream)
            stream.wait(self._after)

    def close(self) -> None:
        """Free the outputs. Closing twice does nothing."""
        self._binding, self._outputs = None, {}
        self._stack.close()

    def _run(self) -> None:
        try:
            self._engine.session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # ONNX Runtime's own exceptions share no public base
            raise _refused(f"ONNX Runtime does not run {self._engine.file}", error) from error

    def _bind_input(self, batch: DeviceTensor) -> None:
        engine = self._engine
        place = engine.memory, engine.driver.info.index
        self._binding.bind_input(engine.spec.input.name, *place, np.float32, list(batch.shape), batch.pointer)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the outputs' shapes, from a run that allocates them itself."""
        engine = self._engine
        names = [value.name for value in engine.session.get_outputs()]
        for name in names:
            self._binding.bind_output(name, engine.memory, engine.driver.info.index)
        self._run()
        engine.stream.synchronise()
        found = self._binding.get_outputs()
        return {name: tuple(value.shape()) for name, value in zip(names, found, strict=True)}

    def _bound_outputs(
        self, shapes: Mapping[str, tuple[int, ...]], stack: ExitStack
    ) -> dict[str, DeviceTensor]:
        engine, dtype = self._engine, np.dtype(np.float32)
        self._binding.clear_binding_outputs()
        outputs = {}
        for name, shape in shapes.items():
            memory = engine.driver.allocate(int(np.prod(shape)) * dtype.itemsize)
            stack.callback(memory.close)
            place = engine.memory, engine.driver.info.index
            self._binding.bind_output(name, *place, np.float32, list(shape), memory.pointer)
            outputs[name] = DeviceTensor(memory.pointer, shape, dtype, memory)
        return outputs


def _options(driver: Driver, stream: Stream) -> dict[str, str]:
    """Return the provider's options: this device, our stream, and FP32 that is FP32."""
    return {
        "device_id": str(driver.info.index),
        "user_compute_stream": str(stream.handle),
        "use_tf32": "0",
    }


def _refused(what: str, error: Exception) -> VultusError:
    reason = str(error).strip().splitlines()[0]
    if "fallback" in reason.lower():
        return DeviceError(
            f"{what} on the GPU alone: {reason}; build an engine for it, or run it with device 'cpu'"
        )
    if "memory" in reason.lower() and "alloc" in reason.lower():
        return DeviceError(f"{what}: {reason}; free GPU memory, or bind fewer pictures at once")
    return ModelError(f"{what}: {reason}")
