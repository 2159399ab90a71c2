"""ONNX Runtime engine: strict about providers, explicit about threads, output buffers kept between calls."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vultus.engines.contract import check_batch, check_contract
from vultus.engines.devices import cuda_problem, require_known, usable_cores
from vultus.errors import DeviceError, ModelError, UsageError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec

if TYPE_CHECKING:
    from vultus.engines import Tensors

__all__ = ["OnnxRuntimeEngine", "disabled_optimisers", "open_model", "session_options"]

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
KNOWN_SHAPES = 64


def open_model(path: Path, device: str, threads: int | None) -> OnnxRuntimeEngine:
    """Open an ONNX file with its spec on the device that was asked for."""
    require_known(device)
    spec = spec_from_onnx(path)
    chosen, why = _chosen(device)
    session = _session(path, spec, chosen, threads or usable_cores())
    return OnnxRuntimeEngine(session, spec, path, why, threads or usable_cores())


def _chosen(device: str) -> tuple[str, str]:
    """Return the device to use and, when vultus chose it, the reason."""
    import onnxruntime

    if device == "cpu":
        return "cpu", ""
    problem = cuda_problem()
    if not problem and PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
        problem = "this ONNX Runtime has no CUDA provider (pip install 'vultus[gpu]')"
    if device == "auto":
        return ("cpu", f"chosen because {problem}") if problem else ("cuda", "chosen because a GPU is there")
    if problem:
        raise DeviceError(
            f"device 'cuda' was asked for, but {problem}; ask for 'cpu' or 'auto', or mend that"
        )
    return "cuda", ""


def session_options(threads: int) -> Any:
    """Return the onnxruntime.SessionOptions that every session of this project runs with."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # sizes vary from frame to frame; patterns would be kept for each
    options.log_severity_level = 4
    # Idle threads that spin take a core from the other network's threads and from whatever else the device does.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def disabled_optimisers(precision: str) -> list[str]:
    """Return which of ONNX Runtime's optimisers a model of a precision must do without."""
    # FP16 scales in Q/DQ come out wrong on the CPU unless this one is off.
    return ["WeightBiasQuantization"] if precision == "int8-fp16" else []


def _session(path: Path, spec: ModelSpec, device: str, threads: int) -> Any:
    import onnxruntime

    options, disabled = session_options(threads), disabled_optimisers(spec.precision)
    wanted = PROVIDERS[device]
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=[wanted], disabled_optimizers=disabled
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no public base
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"ONNX Runtime cannot open {path}: {reason}") from error
    if session.get_providers()[0] != wanted:
        raise DeviceError(
            f"{wanted} was asked for, but ONNX Runtime runs {path.name} on {session.get_providers()[0]}; "
            "check the CUDA and cuDNN libraries with: vultus doctor"
        )
    return session


class OnnxRuntimeEngine:
    """One ONNX Runtime session. Use it from one thread at a time."""

    def __init__(self, session: Any, spec: ModelSpec, path: Path, why: str, threads: int) -> None:
        self._session: Any = session
        self._spec, self._path = spec, path
        self._provider = session.get_providers()[0]
        self._device = _label(self._provider, threads, why)
        self._shapes: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        self._buffers: list[npt.NDArray[np.float32]] = []
        self._names = [output.name for output in session.get_outputs()]
        inputs = [value.name for value in session.get_inputs()]
        check_contract(inputs, self._names, spec, str(path))

    @property
    def spec(self) -> ModelSpec:
        """The contract that the model carries."""
        return self._spec

    @property
    def device(self) -> str:
        """Engine and device that really run the model."""
        return self._device

    def __call__(self, batch: npt.NDArray[np.float32]) -> Tensors:
        """Run a (n, 3, height, width) float32 batch; the returned arrays are valid until the next call.

        Raises InputError for a batch of another shape or type.
        """
        if self._session is None:
            raise UsageError(f"the engine of {self._path.name} is closed; open it again")
        check_batch(batch.shape, batch.dtype, self._spec, self._path.name)
        if batch.shape not in self._shapes:
            return self._first(batch)
        outputs = self._outputs(self._shapes[batch.shape])
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._spec.input.name, np.ascontiguousarray(batch))
        for name, array in outputs.items():
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)
        return outputs

    def close(self) -> None:
        """Free the session; further calls raise UsageError."""
        self._session = None
        self._buffers = []

    def __enter__(self) -> OnnxRuntimeEngine:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    def _first(self, batch: npt.NDArray[np.float32]) -> Tensors:
        """Run a shape for the first time, learning the shapes of its outputs."""
        arrays = self._session.run(self._names, {self._spec.input.name: batch})
        if len(self._shapes) >= KNOWN_SHAPES:
            self._shapes.clear()
        self._shapes[batch.shape] = [array.shape for array in arrays]
        return dict(zip(self._names, arrays, strict=True))

    def _outputs(self, shapes: list[tuple[int, ...]]) -> Tensors:
        """Return views of the kept buffers in these shapes, grown where they are too small."""
        sizes = [int(np.prod(shape)) for shape in shapes]
        if not self._buffers:
            self._buffers = [np.empty(size, np.float32) for size in sizes]
        for i, size in enumerate(sizes):
            if self._buffers[i].size < size:
                self._buffers[i] = np.empty(size, np.float32)
        views = (self._buffers[i][: sizes[i]].reshape(shapes[i]) for i in range(len(shapes)))
        return dict(zip(self._names, views, strict=True))


def _label(provider: str, threads: int, why: str) -> str:
    import onnxruntime

    kind = provider.removesuffix("ExecutionProvider")
    threads_text = f", {threads} thread{'s' if threads > 1 else ''}" if kind == "CPU" else ""
    return f"ONNX Runtime {onnxruntime.__version__} {kind}{threads_text}{f' ({why})' if why else ''}"
