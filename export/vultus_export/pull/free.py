"""A network that slides over pictures of any size to one ONNX graph, sides down to its own window's."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import onnx.inliner
import torch
from torch import Tensor, nn
from torch.export import Dim

from vultus.decode.mtcnn import WINDOW
from vultus.spec import ModelSpec
from vultus_export import tidy
from vultus_export.contract import check_graph
from vultus_export.exporter import OPSET, deployed
from vultus_export.runners import named_outputs
from vultus_export.specfile import output_names

__all__ = ["onnx_of_any_size"]


class _Ordered(nn.Module):
    """The network with its outputs as a tuple in the spec's order."""

    def __init__(self, network: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = named_outputs(self.network(images), self.names)
        return tuple(outputs[name] for name in self.names)


def onnx_of_any_size(module: nn.Module, spec: ModelSpec) -> onnx.ModelProto:
    """Return the ONNX model of a network with free batch, height and width, each side at least its window.

    The general export proves a spec on inputs of a few multiples of its step; a window has more than one pixel, so
    such inputs would be smaller than it. What the graph answers is for the caller to prove.
    """
    example = torch.zeros(2, 3, spec.input.height, spec.input.width)
    # Tracing sets an output of one window apart; its graph holds for that too.
    least = WINDOW + 1
    dims = {0: Dim("batch"), 2: Dim("height", min=least), 3: Dim("width", min=least)}
    names = output_names(spec)
    with _quiet(), torch.no_grad():
        heads = _Ordered(deployed(module), names)
        program = torch.export.export(heads, (example,), dynamic_shapes=(dims,), strict=False)
        exported = torch.onnx.export(
            program,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[spec.input.name],
            output_names=list(names),
            verbose=False,
        )
    model: onnx.ModelProto = exported.model_proto  # type: ignore[union-attr]
    model = onnx.inliner.inline_local_functions(model) if model.functions else model
    _name_dims(model)
    tidy.drop_dead(model)
    tidy.name_nodes(model)
    tidy.strip(model)
    tidy.stamp(model, spec)
    check_graph(model)
    return model


def _name_dims(model: onnx.ModelProto) -> None:
    """Name the outputs' free sides plainly, whatever formula the tracer gave them."""
    for item in model.graph.output:
        for dim, name in zip(item.type.tensor_type.shape.dim, ("batch", "", "rows", "columns"), strict=True):
            if dim.dim_param:
                dim.dim_param = name


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)
