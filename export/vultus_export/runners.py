"""One call for every way to run a network: float32 (batch, 3, height, width) in, output name -> array out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from vultus.engines.ort import disabled_optimisers, session_options
from vultus.errors import ModelError
from vultus.spec import ModelSpec

__all__ = ["Array", "Runner", "named_outputs", "onnx_runner", "torch_runner"]

Array = npt.NDArray[Any]
Runner = Callable[[npt.NDArray[np.float32]], dict[str, Array]]


def named_outputs(result: Any, names: Sequence[str]) -> dict[str, Tensor]:
    """Return what a network gave as name -> tensor.

    A mapping is taken by its names, a tuple or list by the order of `names`, a lone tensor as the only one.
    Raises ModelError when names or count do not fit the spec.
    """
    if isinstance(result, Mapping):
        missing = [name for name in names if name not in result]
        if missing:
            raise ModelError(f"the network gives {sorted(result)}, its spec promises {missing} too")
        return {name: result[name] for name in names}
    listed = list(result) if isinstance(result, (tuple, list)) else [result]
    if len(listed) != len(names) or not all(isinstance(item, Tensor) for item in listed):
        kinds = ", ".join("Tensor" if isinstance(item, Tensor) else type(item).__name__ for item in listed)
        raise ModelError(f"the network gives {len(listed)} ({kinds}), its spec promises {list(names)}")
    return dict(zip(names, listed, strict=True))


def torch_runner(module: nn.Module, names: Sequence[str]) -> Runner:
    """Return a runner of a PyTorch network, in the mode that it is in."""

    def run(images: npt.NDArray[np.float32]) -> dict[str, Array]:
        with torch.no_grad():
            outputs = named_outputs(module(torch.from_numpy(images)), names)
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def onnx_runner(model: onnx.ModelProto, spec: ModelSpec, precision: str = "") -> Runner:
    """Return a runner of a graph under ONNX Runtime on the CPU; raises ModelError when it does not load.

    precision: what the graph computes in, where that is not what its spec says yet.
    """
    import onnxruntime as ort

    options = session_options(len(os.sched_getaffinity(0)))
    try:
        session = ort.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=disabled_optimisers(precision or spec.precision),
        )
    except Exception as error:  # its exceptions share no base class
        raise ModelError(f"ONNX Runtime cannot load model {spec.name!r}: {error}") from error
    names = [output.name for output in session.get_outputs()]

    def run(images: npt.NDArray[np.float32]) -> dict[str, Array]:
        try:
            values = session.run(names, {spec.input.name: images})
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"model {spec.name!r} fails on an input {images.shape}: {reason}") from error
        return dict(zip(names, values, strict=True))

    return run
