"""An ONNX graph as a list of torch calls: read once, constants folded, each tensor let go after its last use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from vultus.engines.contract import check_contract
from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec
from vultus_export.torch_engine_ops import STEERING, Operator, operator_for

__all__ = ["TorchGraph", "read_graph"]


@dataclass(frozen=True)
class _Step:
    """One node: its function, its inputs ("" for one left out), its output, and what nothing needs after it."""

    name: str
    run: Operator
    inputs: tuple[str, ...]
    output: str
    last: tuple[str, ...] = ()


class TorchGraph:
    """A network that torch runs. fixed: the batch that the file fixes, or 0.

    channels_last: keeps pictures channel by channel, as half-precision kernels of NVIDIA GPUs like them best.
    """

    def __init__(
        self,
        spec: ModelSpec,
        steps: Iterable[_Step],
        constants: Mapping[str, Tensor],
        outputs: tuple[str, ...],
        fixed: int,
        channels_last: bool,
    ) -> None:
        self.spec, self.outputs, self.fixed = spec, outputs, fixed
        self._steps, self._constants = tuple(steps), dict(constants)
        self._layout = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Run a (n, 3, height, width) float32 batch on the device where it lies; TF32 is never used."""
        values = {**self._constants, self.spec.input.name: batch.contiguous(memory_format=self._layout)}
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False),
        ):
            for step in self._steps:
                values[step.output] = step.run(*[values[name] if name else None for name in step.inputs])
                for name in step.last:
                    del values[name]
        return {name: values[name] for name in self.outputs}


def read_graph(path: Path, device: str, channels_last: bool | None = None) -> TorchGraph:
    """Read one of our ONNX files for a torch device.

    channels_last: by default for FP16 files on a GPU. Raises ModelError for a damaged file, an operator that is
    not known or a broken contract, SpecError for a file without a usable spec.
    """
    spec = spec_from_onnx(path)
    graph = onnx.load(path).graph
    last = "fp16" in spec.precision and device != "cpu" if channels_last is None else channels_last
    outputs = tuple(value.name for value in graph.output)
    constants = {
        item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer
    }
    inputs = {value.name: value for value in graph.input if value.name not in constants}
    check_contract(list(inputs), outputs, spec, str(path))
    steps = _folded(graph.node, constants, str(path))
    steering = _steering(graph.node)
    placed = {k: v if k in steering else _placed(v, device, last) for k, v in constants.items()}
    fixed = inputs[spec.input.name].type.tensor_type.shape.dim[0].dim_value
    return TorchGraph(spec, _with_ends(steps, {*outputs, *placed}), placed, outputs, fixed, last)


def _folded(nodes: Iterable[onnx.NodeProto], constants: dict[str, Tensor], where: str) -> list[_Step]:
    """Return the steps that depend on the input; those of constants alone are run now and join the constants."""
    steps = []
    for node in nodes:
        if len(node.output) != 1:
            raise ModelError(f"{where}: node {node.name!r} has {len(node.output)} outputs, expected one")
        step = _Step(node.name, operator_for(node), tuple(node.input), node.output[0])
        if all(name in constants for name in step.inputs if name):
            constants[step.output] = step.run(*[constants[name] if name else None for name in step.inputs])
            continue
        for i in STEERING.get(node.op_type, ()):
            if i < len(step.inputs) and step.inputs[i] and step.inputs[i] not in constants:
                raise ModelError(
                    f"{where}: input {i} of {node.op_type} {node.name!r} is computed; the torch engine takes "
                    "constants there: run the model with ONNX Runtime"
                )
        steps.append(step)
    for name in constants.keys() - {name for step in steps for name in step.inputs}:
        del constants[name]
    return steps


def _steering(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Return the names of the tensors that steer the host and so stay there."""
    places = ((node, i) for node in nodes for i in STEERING.get(node.op_type, ()))
    return {node.input[i] for node, i in places if i < len(node.input)}


def _with_ends(steps: list[_Step], kept: set[str]) -> list[_Step]:
    """Return the steps with the names that each is the last to read."""
    seen, found = set(kept), []
    for step in reversed(steps):
        ends = tuple({name for name in step.inputs if name and name not in seen})
        seen.update(ends)
        found.append(_Step(step.name, step.run, step.inputs, step.output, ends))
    return found[::-1]


def _placed(value: Tensor, device: str, channels_last: bool) -> Tensor:
    last = channels_last and value.dim() == 4
    return value.to(device, memory_format=torch.channels_last if last else torch.preserve_format)
