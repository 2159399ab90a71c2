"""Engines run one model file. Base code names no backend: a suffix finds the module, which is opened late.

A new engine is one file with `open_model(path, device, threads)` and one row in ENGINES.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vultus.engines.cascade import join_stages
from vultus.errors import DeviceError, ModelError
from vultus.spec import ModelSpec

__all__ = ["ENGINES", "Engine", "Tensors", "open_engine"]

Tensors = dict[str, npt.NDArray[np.float32]]

ENGINES = {".engine": "vultus.engines.tensorrt", ".onnx": "vultus.engines.ort"}
"""Suffix of a model file -> module that runs it."""


class Engine(Protocol):
    """One opened model."""

    @property
    def spec(self) -> ModelSpec:
        """The contract that the model carries."""

    @property
    def device(self) -> str:
        """Engine and device that really run the model, for people to read."""

    def __call__(self, batch: npt.NDArray[np.float32]) -> Tensors:
        """Run a (n, 3, height, width) float32 batch; the returned arrays are valid until the next call."""

    def close(self) -> None:
        """Free the model; further calls raise UsageError."""

    def __enter__(self) -> Engine:
        """Return the engine itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""


def open_engine(path: str | Path, device: str = "auto", threads: int | None = None) -> Engine:
    """Open a model file with the engine that its suffix names; the later stages of a cascade with it.

    device: "auto", "cpu" or "cuda"; only "auto" may choose. threads: CPU threads, by default all usable.
    Raises ModelError for a missing or damaged file, SpecError for one without a usable spec, DeviceError when
    the device or the engine's package cannot be had.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path} is a folder; name the model files in it")
    if path.suffix not in ENGINES:
        raise ModelError(f"{path} has no known model suffix; expected one of {', '.join(sorted(ENGINES))}")
    if not path.is_file():
        raise ModelError(
            f"there is no model file {path}; `vultus models list` shows the models that are installed"
        )
    try:
        module = import_module(ENGINES[path.suffix])
        engine: Engine = module.open_model(path, device, threads)
    except ImportError as error:
        raise DeviceError(
            f"{path.name} needs the package {error.name!r}: pip install 'vultus[cpu]'"
        ) from error
    return join_stages(engine, path, lambda file: open_engine(file, device, threads))
