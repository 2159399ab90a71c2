"""The magnitudes of every activation that is to be lowered, gathered while the runtime's own stages run."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from vultus.engines import Tensors
from vultus.spec import ModelSpec
from vultus_export.quantize.qdq import layers
from vultus_export.quantize.ranges import Magnitudes
from vultus_export.quantize.work import RunnerEngine, Tick, Work
from vultus_export.runners import onnx_runner

__all__ = ["magnitudes_of"]


def magnitudes_of(model: onnx.ModelProto, spec: ModelSpec, work: Work, tick: Tick) -> dict[str, Magnitudes]:
    """Return the magnitudes of each activation that a layer multiplies, over all pictures of the work.

    One picture is held in memory at a time. Raises ModelError when a value is not finite.
    """
    watched = list(dict.fromkeys(layer.activation for layer in layers(model)))
    inside = [name for name in watched if name != spec.input.name]
    own = copy.deepcopy(model)
    outputs = {output.name for output in own.graph.output}
    own.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inside if name not in outputs
    )
    run = onnx_runner(own, spec)
    found = {name: Magnitudes() for name in watched}

    def observe(batch: npt.NDArray[np.float32]) -> Tensors:
        values = {**run(batch), spec.input.name: batch}
        for name, magnitudes in found.items():
            magnitudes.add(name, values[name])
        return values

    total = len(work.files)
    work(RunnerEngine(spec, observe), lambda done: tick("calibrating", done, total))
    return found
