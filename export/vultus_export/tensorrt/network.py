"""From ONNX bytes to a parsed TensorRT network, with messages that name the node that it cannot take."""

from __future__ import annotations

from typing import Any

from vultus.errors import InputError, ModelError
from vultus.spec import ModelSpec
from vultus_export.tensorrt.bindings import Bindings
from vultus_export.tensorrt.request import Request
from vultus_export.tensorrt.talk import Talk

__all__ = ["fitting_shapes", "parse_onnx", "refuse_lost_precision"]

Shape = tuple[int, int, int, int]

SHOWN = 5


def parse_onnx(
    bindings: Bindings, parser: Any, network: Any, onnx: bytes, spec: ModelSpec, talk: Talk
) -> None:
    """Fill the network with an ONNX model; raises ModelError that names the nodes that fail."""
    if not parser.parse(onnx) or not network.num_outputs:
        errors = [_described(parser.get_error(i)) for i in range(parser.num_errors)] or talk.errors[-1:]
        more = f" (and {len(errors) - SHOWN} more)" if len(errors) > SHOWN else ""
        reason = "; ".join(errors[:SHOWN]) or "it holds no graph with outputs"
        raise ModelError(f"{bindings.name} cannot read {spec.name}: {reason}{more}")
    names = [network.get_input(i).name for i in range(network.num_inputs)]
    if names != [spec.input.name]:
        raise ModelError(
            f"{spec.name} has inputs {names}, its spec names {spec.input.name!r} alone; export it again"
        )


def refuse_lost_precision(trt: Any, network: Any, spec: ModelSpec) -> None:
    """Raise ModelError when the typed network lacks what the spec claims, before minutes go into building it."""
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    outputs = [(layer, layer.get_output(i).dtype) for layer in layers for i in range(layer.num_outputs)]
    quantise = trt.LayerType.QUANTIZE
    present = {
        "int8": any(layer.type == quantise and dtype == trt.DataType.INT8 for layer, dtype in outputs),
        "fp16": any(dtype == trt.DataType.HALF for _, dtype in outputs),
    }
    means = {"int8": "no QuantizeLinear to INT8", "fp16": "no FP16 tensor"}
    for claimed in spec.precision.split("-"):
        if not present.get(claimed, True):
            raise ModelError(
                f"{spec.name} says {spec.precision!r}, but its graph has {means[claimed]}, and TensorRT keeps the "
                "types of the graph; export it again with that precision"
            )


def fitting_shapes(network: Any, spec: ModelSpec, request: Request) -> tuple[Shape, Shape, Shape]:
    """Return the least, best and most shape of the one profile; raises InputError where the model forbids it."""
    batch, _, height, width = (int(side) for side in network.get_input(0).shape)
    wanted_width, wanted_height = request.size_for(spec)
    for what, fixed, wanted in (("width", width, wanted_width), ("height", height, wanted_height)):
        if fixed not in (-1, wanted):
            raise InputError(
                f"{spec.name} has the fixed {what} {fixed}, not {wanted}; export it again to change that"
            )
    sizes = request.batch_for(spec)
    if batch != -1 and request.batch not in (None, (batch,) * 3):
        raise InputError(
            f"--batch {','.join(map(str, sizes))}: {spec.name} has the fixed batch {batch}; leave --batch out, or "
            "export it again with a dynamic batch"
        )
    least, best, most = sizes if batch == -1 else (batch,) * 3
    if request.dla is not None and least != most:
        raise InputError(f"--dla needs one batch size, got {least},{best},{most}; give --batch {best}")
    sides = (3, wanted_height, wanted_width)
    return (least, *sides), (best, *sides), (most, *sides)


def _described(error: Any) -> str:
    """Return one parser error with its node's name and operator, where these bindings tell them."""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    name = error.node_name() if hasattr(error, "node_name") else ""
    node = f"node {name or error.node()!r} ({operator})" if operator else f"node {error.node()}"
    return f"{node}: {error.desc()}"
