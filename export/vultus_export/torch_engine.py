"""Our ONNX files in torch: the reference that other engines are held against, and an engine of the device path.

Where a machine has PyTorch and a GPU but no TensorRT, `open_on_device` opens the engines of the device pipeline. On the
device each binding is captured in a CUDA graph of torch's own, which `enqueue` replays on the caller's stream.
Q/DQ models compute in floating point what integers would, so they tell what INT8 costs, not what it brings.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from vultus.cuda.driver import Driver
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.contract import check_batch, check_count
from vultus.engines.device import UNLIMITED
from vultus.engines.devices import require_known
from vultus.errors import DeviceError, UsageError
from vultus.spec import ModelSpec
from vultus_export.torch_engine_binding import TorchBinding
from vultus_export.torch_engine_graph import TorchGraph, read_graph

if TYPE_CHECKING:
    from vultus.engines import Tensors

__all__ = ["TorchDeviceEngine", "TorchEngine", "open_model", "open_on_device"]


def open_model(
    path: Path, device: str = "auto", threads: int | None = None, channels_last: bool | None = None
) -> TorchEngine:
    """Open an ONNX file for arrays on the host; `threads`, where given, is set for the whole process.

    channels_last: by default for FP16 files on a GPU. Raises ModelError for an operator that is not known,
    DeviceError when torch has no GPU that was asked for.
    """
    require_known(device)
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(_no_gpu("device 'cuda' was asked for"))
    if threads:
        torch.set_num_threads(threads)
    place = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    return TorchEngine(read_graph(path, place, channels_last), path.name, place)


def open_on_device(
    path: str | Path, driver: Driver, device: str = "cuda", channels_last: bool | None = None
) -> TorchDeviceEngine:
    """Open an ONNX file on the driver's device, for the device path.

    device: "cpu" computes on the host, where the driver's addresses are the host's own too.
    Raises ModelError for an operator that is not known, DeviceError when torch does not have the driver's GPU.
    """
    path = Path(path)
    if device != "cpu":
        if not torch.cuda.is_available():
            raise DeviceError(_no_gpu(f"{path.name} was to run on {driver.info.name}"))
        device = f"cuda:{driver.info.index}"
    with driver.current():
        graph = read_graph(path, device, channels_last)
    return TorchDeviceEngine(graph, path.name, driver, device)


def _no_gpu(what: str) -> str:
    kind = "is a CPU build" if torch.version.cuda is None else "finds no GPU"
    return f"{what}, but torch {torch.__version__} {kind}; install a CUDA build of torch, or use ONNX Runtime"


def _label(graph: TorchGraph, place: str) -> str:
    emulated = ", Q/DQ in floating point" if "int8" in graph.spec.precision else ""
    return f"torch {torch.__version__} {place}, {graph.spec.precision}{emulated}"


class TorchEngine:
    """A network for arrays on the host; see `vultus.engines.Engine`."""

    def __init__(self, graph: TorchGraph, name: str, place: str) -> None:
        self._graph: TorchGraph | None = graph
        self._spec, self._name, self._place = graph.spec, name, place
        self._label = _label(graph, place if place == "cpu" else f"on {torch.cuda.get_device_name(place)}")

    @property
    def spec(self) -> ModelSpec:
        """The contract that the model carries."""
        return self._spec

    @property
    def device(self) -> str:
        """Engine, device and precision that really run the model."""
        return self._label

    def __call__(self, batch: npt.NDArray[np.float32]) -> Tensors:
        """Run a (n, 3, height, width) float32 batch; the arrays are the caller's.

        Raises InputError for a batch of another shape or type.
        """
        if self._graph is None:
            raise UsageError(f"the engine of {self._name} is closed; open it again")
        check_batch(batch.shape, batch.dtype, self._spec, self._name)
        outputs = self._graph(torch.from_numpy(np.ascontiguousarray(batch)).to(self._place))
        return {name: value.float().cpu().contiguous().numpy() for name, value in outputs.items()}

    def close(self) -> None:
        """Free the network; further calls raise UsageError."""
        self._graph = None

    def __enter__(self) -> TorchEngine:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()


class TorchDeviceEngine:
    """A network on device memory; see `vultus.engines.device.DeviceEngine`."""

    capturable = False

    def __init__(self, graph: TorchGraph, name: str, driver: Driver, device: str) -> None:
        self._graph: TorchGraph | None = graph
        self._spec, self._name, self._driver, self._device = graph.spec, name, driver, device
        self._fixed = graph.fixed
        self._label = _label(graph, "on the host" if device == "cpu" else f"on {driver.info.name}")
        self._bindings: list[TorchBinding] = []

    @property
    def spec(self) -> ModelSpec:
        """The contract that the model carries."""
        return self._spec

    @property
    def device(self) -> str:
        """Engine, device and precision that really run the model."""
        return self._label

    @property
    def batch(self) -> tuple[int, int]:
        """Least and most pictures that the model takes at once."""
        return (self._fixed, self._fixed) if self._fixed else (1, UNLIMITED)

    def bind(self, batch: DeviceTensor) -> TorchBinding:
        """Fix the input at the address of `batch`: run for warming up, then capture.

        Raises InputError for a batch that the model does not take, DeviceError when memory runs out.
        """
        if self._graph is None:
            raise UsageError(f"the engine of {self._name} is closed; open it again")
        check_batch(batch.shape, batch.dtype, self._spec, self._name)
        check_count(batch.shape[0], self.batch, self._name)
        binding = TorchBinding(self._graph, self._name, self._driver, self._device, batch)
        self._bindings.append(binding)
        return binding

    def close(self) -> None:
        """Free the network and what is still bound; further calls raise UsageError. Twice does nothing."""
        for binding in self._bindings:
            binding.close()
        self._bindings.clear()
        self._graph = None
