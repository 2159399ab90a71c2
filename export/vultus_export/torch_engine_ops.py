"""The operators that exported graphs hold, each as a function of torch tensors, made from one ONNX node.

Only what our graphs and their tests hold is here; anything else is refused by name, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional as F

from vultus.errors import ModelError

__all__ = ["OPERATORS", "STEERING", "Operator", "operator_for"]

Operator = Callable[..., Tensor]
Attributes = dict[str, Any]

TYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.INT8: torch.int8,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
}


STEERING = {
    "ReduceMean": (1,),
    "ReduceSum": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Unsqueeze": (1,),
}
"""Operator -> its inputs that steer the host. Constants alone: read from the GPU they would stop the pipeline."""


def operator_for(node: onnx.NodeProto) -> Operator:
    """Return what a node computes; raises ModelError for an operator or attribute that is not known here."""
    maker = OPERATORS.get(node.op_type) if not node.domain else None
    if maker is None:
        raise ModelError(
            f"node {node.name!r} is of operator {'.'.join(filter(None, (node.domain, node.op_type)))!r}, which the "
            f"torch engine does not have; it has: {', '.join(sorted(OPERATORS))}. Run the model with ONNX Runtime"
        )
    return maker({a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})


def _require(operator: str, attributes: Attributes, **allowed: Any) -> None:
    """Raise ModelError unless each named attribute is absent or has the only value known here."""
    for name, value in allowed.items():
        given = attributes.get(name, value)
        given = given.decode() if isinstance(given, bytes) else given
        if given != value:
            raise ModelError(
                f"{operator} with {name}={given!r} is not known to the torch engine, only {value!r}; "
                "run the model with ONNX Runtime"
            )


def _conv(attributes: Attributes) -> Operator:
    _require("Conv", attributes, auto_pad="NOTSET")
    pads = attributes.get("pads", [0, 0, 0, 0])
    even = pads[:2] == pads[2:]
    top, left, bottom, right = pads
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    groups = attributes.get("group", 1)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if even:
            return F.conv2d(x, weight, bias, strides, pads[:2], dilations, groups)
        return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, strides, 0, dilations, groups)

    return run


def _gemm(attributes: Attributes) -> Operator:
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    first, second = attributes.get("transA", 0), attributes.get("transB", 0)

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        left, right = a.t() if first else a, b.t() if second else b
        if c is None:
            return torch.mm(left, right) * float(alpha)
        return torch.addmm(c, left, right, beta=beta, alpha=alpha)

    return run


def _resize(attributes: Attributes) -> Operator:
    _require("Resize", attributes, mode="nearest", nearest_mode="floor", antialias=0)
    _require("Resize", attributes, coordinate_transformation_mode="asymmetric")

    def run(x: Tensor, _roi: Tensor | None, scales: Tensor | None, sizes: Tensor | None = None) -> Tensor:
        if scales is None or sizes is not None:
            raise ModelError("Resize to given sizes is not known to the torch engine, only by whole factors")
        batch, channels, *factors = scales.tolist()
        if [batch, channels] != [1, 1] or any(factor != int(factor) for factor in factors):
            raise ModelError(
                f"Resize by {scales.tolist()} is not known to the torch engine, only by whole factors"
            )
        return F.interpolate(x, scale_factor=factors, mode="nearest")

    return run


def _reshape(attributes: Attributes) -> Operator:
    zero = attributes.get("allowzero", 0)

    def run(x: Tensor, shape: Tensor) -> Tensor:
        sides = [x.shape[i] if side == 0 and not zero else side for i, side in enumerate(shape.tolist())]
        return x.reshape(sides)

    return run


def _flatten(attributes: Attributes) -> Operator:
    axis = attributes.get("axis", 1)
    _require("Flatten", attributes, axis=1)
    return lambda x: x.flatten(axis)


def _reduce_mean(attributes: Attributes) -> Operator:
    keep = bool(attributes.get("keepdims", 1))
    return lambda x, axes: x.mean(axes.tolist(), keepdim=keep)


def _cast(attributes: Attributes) -> Operator:
    kind = TYPES.get(attributes["to"])
    if kind is None:
        raise ModelError(
            f"Cast to {TensorProto.DataType.Name(attributes['to'])} is not known to the torch engine; "
            "run the model with ONNX Runtime"
        )
    return lambda x: x.to(kind)


def _concat(attributes: Attributes) -> Operator:
    axis = attributes["axis"]
    return lambda *parts: torch.cat(parts, axis)


def _reduce_sum(attributes: Attributes) -> Operator:
    keep = bool(attributes.get("keepdims", 1))
    _require("ReduceSum", attributes, noop_with_empty_axes=0)
    return lambda x, axes: x.sum(axes.tolist(), keepdim=keep)


def _unsqueeze(attributes: Attributes) -> Operator:
    def run(x: Tensor, axes: Tensor) -> Tensor:
        rank = x.dim() + len(axes)
        for axis in sorted(axis % rank for axis in axes.tolist()):
            x = x.unsqueeze(axis)
        return x

    return run


def _arg_max(attributes: Attributes) -> Operator:
    _require("ArgMax", attributes, select_last_index=0)
    axis, keep = attributes.get("axis", 0), bool(attributes.get("keepdims", 1))
    return lambda x: x.argmax(axis, keepdim=keep)


def _grid_sample(attributes: Attributes) -> Operator:
    _require("GridSample", attributes, mode="linear", padding_mode="border", align_corners=0)

    def run(x: Tensor, grid: Tensor) -> Tensor:
        # In float32: a place in the picture has too few bits in half precision, and torch's kernel for that on the
        # CPU reads wrong values from channels-last pictures.
        cut = F.grid_sample(x.float(), grid.float(), "bilinear", "border", align_corners=False)
        return cut.to(x.dtype)

    return run


def _slice(_: Attributes) -> Operator:
    def run(
        x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
    ) -> Tensor:
        along = range(len(starts)) if axes is None else axes.tolist()
        if steps is not None and any(step <= 0 for step in steps.tolist()):
            raise ModelError("Slice that runs backwards is not known to the torch engine")
        places = [slice(None)] * x.dim()
        strides = [1] * len(starts) if steps is None else steps.tolist()
        for axis, start, end, stride in zip(along, starts.tolist(), ends.tolist(), strides, strict=True):
            places[axis] = slice(start, end, stride)
        return x[tuple(places)]

    return run


def _softmax(attributes: Attributes) -> Operator:
    axis = attributes.get("axis", -1)
    return lambda x: x.softmax(axis)


def _quantize(attributes: Attributes) -> Operator:
    _require("QuantizeLinear", attributes, block_size=0, saturate=1, output_dtype=0)
    axis = attributes.get("axis", 1)

    def run(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        limits = torch.iinfo(zero.dtype)
        # In float32 for FP16 too: a quotient in half precision rounds to the wrong step.
        steps = torch.round(x.float() / _along(scale, axis, x).float()) + _along(zero, axis, x)
        return steps.clamp(limits.min, limits.max).to(zero.dtype)

    return run


def _dequantize(attributes: Attributes) -> Operator:
    _require("DequantizeLinear", attributes, block_size=0, output_dtype=0)
    axis = attributes.get("axis", 1)

    def run(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        steps = x.to(scale.dtype)
        if zero is not None:
            steps = steps - _along(zero, axis, x).to(scale.dtype)
        return steps * _along(scale, axis, x)

    return run


def _along(values: Tensor, axis: int, x: Tensor) -> Tensor:
    """Return values of one axis (or one value) in a shape that spreads over x."""
    if values.dim() == 0:
        return values
    return values.reshape([-1 if i == axis % x.dim() else 1 for i in range(x.dim())])


def _plain(function: Operator) -> Callable[[Attributes], Operator]:
    return lambda _: function


OPERATORS: dict[str, Callable[[Attributes], Operator]] = {
    "Add": _plain(torch.add),
    "ArgMax": _arg_max,
    "Cast": _cast,
    "Clip": _plain(torch.clamp),
    "Concat": _concat,
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Div": _plain(torch.div),
    "Equal": _plain(torch.eq),
    "Exp": _plain(torch.exp),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GridSample": _grid_sample,
    "GlobalAveragePool": _plain(lambda x: x.mean((2, 3), keepdim=True)),
    "Identity": _plain(lambda x: x),
    "Log": _plain(torch.log),
    "MatMul": _plain(torch.matmul),
    "Min": _plain(torch.minimum),
    "Mul": _plain(torch.mul),
    "QuantizeLinear": _quantize,
    "ReduceMean": _reduce_mean,
    "ReduceSum": _reduce_sum,
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Softmax": _softmax,
    "Sqrt": _plain(torch.sqrt),
    "Sub": _plain(torch.sub),
    "Unsqueeze": _unsqueeze,
}
"""Operator -> maker of its function from the attributes of a node."""
