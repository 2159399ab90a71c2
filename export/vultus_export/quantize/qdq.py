"""INT8 as explicit Q/DQ pairs: symmetric, weights per channel, activations per tensor, biases left alone.

Q stands only ahead of what computes in INT8, never behind it, which is the form that TensorRT fuses best (Wu et al.
2020, Integer quantization for deep learning inference). Scales are rounded up to numbers that FP16 can hold, so INT8
with FP32 scales and INT8 with FP16 scales hold the same integers.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ModelError

__all__ = ["Layer", "layers", "representable", "with_qdq"]

LEVELS = 127
LEAST_SCALE = 2.0**-20
OPERATORS = ("Conv", "Gemm", "MatMul")

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """A node that can compute in INT8: the value and the weight that it multiplies, and the weight's channel axis."""

    name: str
    activation: str
    weight: str
    axis: int


def layers(model: onnx.ModelProto) -> list[Layer]:
    """Return the layers that can compute in INT8, in the graph's order."""
    weights = {item.name: item for item in model.graph.initializer if item.data_type == TensorProto.FLOAT}
    found = []
    for node in model.graph.node:
        if node.op_type not in OPERATORS or node.input[1] not in weights or node.input[0] in weights:
            continue
        axis = _axis(node, len(weights[node.input[1]].dims))
        found.append(Layer(node.name, node.input[0], node.input[1], axis))
    return found


def representable(scale: npt.ArrayLike) -> Array:
    """Return the least FP16 numbers not below these scales, as float32; zero becomes the least scale in use."""
    wanted = np.maximum(np.asarray(scale, np.float32), LEAST_SCALE)
    rounded = wanted.astype(np.float16)
    low = rounded.astype(np.float32) < wanted
    return np.where(low, np.nextafter(rounded, np.float16(np.inf)), rounded).astype(np.float32)


def with_qdq(
    model: onnx.ModelProto, limits: Mapping[str, float], kept: Collection[str] = ()
) -> onnx.ModelProto:
    """Return the graph with Q/DQ pairs ahead of every layer that is not kept.

    limits: activation -> the magnitude that becomes 127; kept: names of layers that stay as they are. Raises ModelError
    for an activation without a limit.
    """
    own = copy.deepcopy(model)
    writer = _Writer(own, limits)
    chosen = {layer.name: layer for layer in layers(own) if layer.name not in kept}
    nodes = list(own.graph.node)
    del own.graph.node[:]
    for node in nodes:
        if node.name in chosen:
            writer.lower(node, chosen[node.name])
        own.graph.node.append(node)
    used = {name for node in own.graph.node for name in node.input}
    weights = [item for item in own.graph.initializer if item.name in used]
    del own.graph.initializer[:], own.graph.value_info[:]
    own.graph.initializer.extend(weights)
    return own


class _Writer:
    def __init__(self, model: onnx.ModelProto, limits: Mapping[str, float]) -> None:
        self.graph, self.limits = model.graph, limits
        self.weights = {item.name: item for item in model.graph.initializer}
        self.done: dict[tuple[str, int], str] = {}

    def lower(self, node: onnx.NodeProto, layer: Layer) -> None:
        node.input[0] = self._activation(layer.activation)
        node.input[1] = self._weight(layer.weight, layer.axis)

    def _activation(self, name: str) -> str:
        if (name, -1) not in self.done:
            if name not in self.limits:
                raise ModelError(f"activation {name!r} was not calibrated; calibrate with the same model")
            scale = self._store(f"{name}:scale", representable(self.limits[name] / LEVELS))
            zero = self._store(f"{name}:zero", np.zeros((), np.int8))
            self._add("QuantizeLinear", [name, scale, zero], f"{name}:quantized")
            self._add("DequantizeLinear", [f"{name}:quantized", scale, zero], f"{name}:dequantized")
            self.done[name, -1] = f"{name}:dequantized"
        return self.done[name, -1]

    def _weight(self, name: str, axis: int) -> str:
        if (name, axis) not in self.done:
            stem = name if axis == 0 else f"{name}:{axis}"
            values = numpy_helper.to_array(self.weights[name])
            others = tuple(k for k in range(values.ndim) if k != axis)
            scale = representable(np.abs(values).max(axis=others) / LEVELS)
            steps = scale.reshape([-1 if k == axis else 1 for k in range(values.ndim)])
            integers = np.clip(np.rint(values / steps), -LEVELS, LEVELS).astype(np.int8)
            inputs = [
                self._store(f"{stem}:int8", integers),
                self._store(f"{stem}:scale", scale),
                self._store(f"{stem}:zero", np.zeros(scale.shape, np.int8)),
            ]
            self._add("DequantizeLinear", inputs, f"{stem}:dequantized", axis=axis)
            self.done[name, axis] = f"{stem}:dequantized"
        return self.done[name, axis]

    def _store(self, name: str, values: npt.NDArray[np.float32] | npt.NDArray[np.int8]) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def _add(self, operator: str, inputs: list[str], output: str, axis: int | None = None) -> None:
        node = helper.make_node(operator, inputs, [output], name=output)
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        self.graph.node.append(node)


def _axis(node: onnx.NodeProto, rank: int) -> int:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "MatMul":
        return rank - 1
    return 0 if any(item.name == "transB" and item.i for item in node.attribute) else 1
