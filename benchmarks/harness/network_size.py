"""How large a network is: parameters and multiply-accumulates, counted in its ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, shape_inference

from vultus.onnxfile import spec_from_onnx
from vultus.zoo import default_models
from vultus_export.metrics.identity import model_entry

__all__ = ["NetworkSize", "models_measured", "network_size", "same_work"]

Shape = tuple[int, ...]
COUNTERS = (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
"""Types of constants that steer shapes and are no weights."""


ALIKE = 1e-3
"""Share of multiply-accumulates, such as one more answer read from features that are there, that no timing shows."""


@dataclass(frozen=True)
class NetworkSize:
    """Parameters, multiply-accumulates of one picture or crop at the nominal input size, and the file's bytes."""

    parameters: int
    macs: int
    bytes: int


def network_size(path: Path) -> NetworkSize:
    """Return the size of a model file at the input size that its spec names.

    Convolutions and matrix products are counted; activations, sums and pooling are not, as is the custom.
    Raises ValueError when a shape that is needed does not follow from the input's.
    """
    spec = spec_from_onnx(path).input
    model = onnx.load(path)
    sides = model.graph.input[0].type.tensor_type.shape.dim
    for side, value in zip(sides, (1, 3, spec.height, spec.width), strict=True):
        side.dim_value = value
    del model.graph.value_info[:]
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    shapes = _shapes(inferred.graph)
    macs = sum(_macs(node, shapes, path) for node in inferred.graph.node)
    return NetworkSize(_parameters(model.graph), macs, path.stat().st_size)


def same_work(first: int, second: int) -> bool:
    """Say whether two networks of so many multiply-accumulates take the same time, as far as it can be measured."""
    return abs(first - second) <= ALIKE * max(first, second)


def models_measured() -> list[dict[str, Any]]:
    """Return the default models as a result names them, with what tells one architecture from another."""
    return [{**model_entry(path), "macs": network_size(path).macs} for path in default_models()]


def _shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    known = {
        value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return known | {constant.name: tuple(constant.dims) for constant in graph.initializer}


def _parameters(graph: onnx.GraphProto) -> int:
    """Count the weights; scales and zero points of quantisation are none."""
    quantisers = ("QuantizeLinear", "DequantizeLinear")
    steering = {name for node in graph.node if node.op_type in quantisers for name in node.input[1:]}
    return sum(
        math.prod(constant.dims)
        for constant in graph.initializer
        if constant.data_type not in COUNTERS and constant.name not in steering
    )


def _conv(node: onnx.NodeProto, inputs: Sequence[Shape], out: Shape) -> int:
    return math.prod(out) * math.prod(inputs[1][1:])


def _conv_transpose(node: onnx.NodeProto, inputs: Sequence[Shape], out: Shape) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def _gemm(node: onnx.NodeProto, inputs: Sequence[Shape], out: Shape) -> int:
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return math.prod(out) * inputs[0][0 if turned else -1]


def _matmul(node: onnx.NodeProto, inputs: Sequence[Shape], out: Shape) -> int:
    return math.prod(out) * inputs[0][-1]


COUNTED: dict[str, Callable[[onnx.NodeProto, Sequence[Shape], Shape], int]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
}


def _macs(node: onnx.NodeProto, shapes: dict[str, Shape], path: Path) -> int:
    if node.op_type not in COUNTED:
        return 0
    inputs = [shapes.get(name, ()) for name in node.input[:2]]
    out = shapes.get(node.output[0], ())
    if not all(shape and min(shape) > 0 for shape in (*inputs, out)):
        raise ValueError(
            f"{path}: the shapes around {node.op_type} {node.name!r} do not follow from the input's"
        )
    return COUNTED[node.op_type](node, inputs, out)
