"""The pipeline on the CPU that a device is held against: the same models, at the input sizes that the device takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from vultus.engines import Engine, Tensors, open_engine
from vultus.errors import ModelError
from vultus.host import HostPipeline
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec
from vultus.zoo import installed_models

__all__ = ["open_reference"]


class _Sized:
    """An engine that takes one input size of the many that its model allows, as a TensorRT engine of the model does."""

    def __init__(self, engine: Engine, built: ModelSpec) -> None:
        self._engine = engine
        self.spec = replace(engine.spec, input=built.input)
        self.device = engine.device

    def __call__(self, batch: npt.NDArray[np.float32]) -> Tensors:
        return self._engine(batch)

    def close(self) -> None:
        self._engine.close()

    def __enter__(self) -> _Sized:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_reference(
    built: Mapping[str, ModelSpec], files: Sequence[str | Path], stack: ExitStack
) -> HostPipeline:
    """Return the pipeline on the CPU of the models that run on a device.

    built: the device's specs by task. files: ONNX files, of which those of the same name and precision are taken;
    the installed ones when there are none. stack: becomes the owner of the engines. Raises ModelError when a model
    is not among them.
    """
    candidates = [Path(file) for file in files] or installed_models()
    opened = {task: open_engine(_of(spec, candidates), "cpu") for task, spec in built.items()}
    return HostPipeline({task: stack.enter_context(_Sized(opened[task], built[task])) for task in opened})


def _of(spec: ModelSpec, files: Sequence[Path]) -> Path:
    for path in files:
        found = spec_from_onnx(path)
        if (found.name, found.precision) == (spec.name, spec.precision):
            return path
    raise ModelError(
        f"{spec.name} at {spec.precision} is not among the models to hold the device against: "
        f"{', '.join(path.name for path in files)}; name the ONNX file that it was built from with --against"
    )
