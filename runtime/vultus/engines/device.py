"""Engines whose inputs and outputs stay on the device: the protocol and the table of who implements it.

A device engine is opened once and bound once for each input shape; a binding owns its outputs and whatever the
backend needs for that shape, so that enqueueing allocates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol

from vultus.cuda.driver import Driver, Stream
from vultus.cuda.tensors import DeviceTensor
from vultus.errors import DeviceError, ModelError
from vultus.spec import ModelSpec

__all__ = ["DEVICE_ENGINES", "UNLIMITED", "Binding", "DeviceEngine", "open_device_engine"]

UNLIMITED = 65535

DEVICE_ENGINES = {".onnx": "vultus.engines.ort_cuda", ".engine": "vultus.engines.tensorrt"}
"""Suffix of a model file -> module that offers `open_on_device(path, driver) -> DeviceEngine`."""


class Binding(Protocol):
    """A model with its input and outputs at fixed addresses."""

    @property
    def outputs(self) -> Mapping[str, DeviceTensor]:
        """The outputs by name; written by every run, so read them before the next in the same stream order."""

    def enqueue(self, stream: Stream) -> None:
        """Run the model on what its input holds when the stream gets there; returns at once.

        Makes the device's context current itself. One binding runs in one stream at a time.
        """

    def close(self) -> None:
        """Free the outputs."""


class DeviceEngine(Protocol):
    """One opened model on the device."""

    @property
    def spec(self) -> ModelSpec:
        """The contract that the model carries."""

    @property
    def device(self) -> str:
        """Engine and device that really run the model, for people to read."""

    @property
    def capturable(self) -> bool:
        """Whether `Binding.enqueue` may be captured into a CUDA graph; settled once something is bound."""

    @property
    def batch(self) -> tuple[int, int]:
        """Least and most pictures that `bind` takes at once; the most is UNLIMITED where memory alone limits it."""

    def bind(self, batch: DeviceTensor) -> Binding:
        """Fix the input (n, 3, height, width), float32, at the address of `batch`; may allocate, run and wait."""

    def close(self) -> None:
        """Free the model; its bindings are closed before."""


def open_device_engine(path: str | Path, driver: Driver) -> DeviceEngine:
    """Open a model file for the device path with the engine that its suffix names.

    Raises ModelError for a missing or damaged file, SpecError for one without a usable spec, DeviceError when the
    engine's package cannot be had or does not run on this device.
    """
    path = Path(path)
    if path.suffix not in DEVICE_ENGINES:
        raise ModelError(
            f"{path} has no known model suffix; expected one of {', '.join(sorted(DEVICE_ENGINES))}"
        )
    if not path.is_file():
        raise ModelError(
            f"there is no model file {path}; `vultus models list` shows the models that are installed"
        )
    try:
        module = import_module(DEVICE_ENGINES[path.suffix])
        engine: DeviceEngine = module.open_on_device(path, driver)
    except ImportError as error:
        raise DeviceError(
            f"{path.name} needs the package {error.name!r}: pip install 'vultus[gpu]'"
        ) from error
    return engine
