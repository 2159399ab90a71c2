"""A PyTorch network to one ONNX graph: raw heads, free batch, normalisation folded, its spec inside."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx
import onnx.inliner
import torch
from torch import Tensor, nn
from torch.export import Dim

from vultus.errors import ModelError
from vultus.spec import ModelSpec
from vultus_export import tidy
from vultus_export.contract import check_contract, check_graph
from vultus_export.fold import fold_batch_norms
from vultus_export.runners import named_outputs
from vultus_export.specfile import keep_attributes, output_names

__all__ = ["OPSET", "deployed", "finish", "onnx_from_module"]

OPSET = 20


class _RawHeads(nn.Module):
    """The network with the outputs of the spec as a tuple; what only other outputs need is never traced."""

    def __init__(self, network: nn.Module, names: Sequence[str], kept: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names, self.kept = tuple(names), tuple(kept)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = named_outputs(self.network(images), self.names)
        return tuple(outputs[name] for name in self.kept)


def onnx_from_module(
    module: nn.Module, spec: ModelSpec, attributes: Sequence[str] | None = None
) -> onnx.ModelProto:
    """Return the ONNX model of a PyTorch network, with its spec in the metadata.

    module: takes float32 (batch, 3, height, width), prepared as spec.input says, and gives the spec's outputs by
    name (mapping) or in the spec's order (tuple). It is not changed. The batch is free; so are height and width
    when spec.input.multiple is not 0. attributes: the fields whose heads are kept; None keeps all.

    Equal weights and specs give equal bytes. Raises ModelError when the network cannot be exported, does not fit
    its spec or gives a graph that fails ONNX's full check; SpecError for attributes that it does not have.
    """
    kept = spec if attributes is None else keep_attributes(spec, tuple(attributes))
    heads = _RawHeads(deployed(module), output_names(spec), output_names(kept))
    model = _traced(heads, kept)
    _name_dims(model, kept)
    fold_batch_norms(model)
    tidy.drop_dead(model)
    tidy.name_nodes(model)
    return finish(model, kept)


def finish(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Strip a graph, give it its spec, and return it if it passes the full check and honours the spec."""
    tidy.strip(model)
    tidy.stamp(model, spec)
    check_graph(model)
    check_contract(model, spec)
    return model


def deployed(module: nn.Module) -> nn.Module:
    """Return a copy of a network as it is deployed: float32, on the CPU, in eval mode."""
    ready = copy.deepcopy(module).eval().requires_grad_(False)
    return ready.to("cpu", torch.float32, memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]


def _traced(heads: _RawHeads, spec: ModelSpec) -> onnx.ModelProto:
    example = torch.zeros(2, 3, spec.input.height, spec.input.width)
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(heads, (example,), dynamic_shapes=(_dims(spec),), strict=False)
            exported = torch.onnx.export(
                program,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[spec.input.name],
                output_names=list(heads.kept),
                verbose=False,
            )
    except ModelError:
        raise
    except Exception as error:  # the exporter lets every kind of error through
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"PyTorch cannot export model {spec.name!r}: {reason[0]}") from error
    model: onnx.ModelProto = exported.model_proto  # type: ignore[union-attr]
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def _dims(spec: ModelSpec) -> dict[int, object]:
    dims: dict[int, object] = {0: Dim("batch")}
    if spec.input.multiple:
        dims |= {axis + 2: spec.input.multiple * Dim(name) for axis, name in enumerate(("rows", "columns"))}
    return dims


def _name_dims(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Give free dimensions the names that a reader expects, whatever the tracer called them."""
    strides = {level.output: level.stride for level in spec.detector.levels} if spec.detector else {}
    for item in [*model.graph.input, *model.graph.output]:
        stride = strides.get(item.name, 1)
        part = "" if stride == 1 else f"/{stride}"
        names = ["batch", "", f"height{part}", f"width{part}"]
        for axis, dim in enumerate(item.type.tensor_type.shape.dim):
            if dim.dim_param:
                dim.dim_param = names[axis] if axis < len(names) and names[axis] else f"{item.name}_{axis}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of itself: missing torchvision, deprecations inside torch."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "torch.__trace")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
