"""FP16 in the types of a graph, so that the same file means the same to every runtime; inputs and outputs stay FP32."""

from __future__ import annotations

import copy
from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ModelError

__all__ = ["half_precision"]

FULL, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
LARGEST = float(np.finfo(np.float16).max)

STAY_FULL = {"Resize": (1, 2)}
"""Operator -> inputs that ONNX wants in FP32 whatever the others are."""


class _Halver:
    """Writes a graph anew. Each float value may exist in FP32, in FP16 or both; a cast is made on first demand."""

    def __init__(self, model: onnx.ModelProto, kept: Collection[str]) -> None:
        self.kept = set(kept)
        self.floats = _float_values(model)
        self.weights = {item.name: item for item in model.graph.initializer if item.data_type == FULL}
        self.outputs = {item.name for item in model.graph.output}
        given = {item.name: item.name for item in model.graph.input}
        self.names: dict[int, dict[str, str]] = {FULL: given, HALF: {}}
        self.nodes: list[onnx.NodeProto] = []
        self.stored = {item.name: item for item in model.graph.initializer if item.data_type != FULL}

    def take(self, node: onnx.NodeProto) -> None:
        """Write one node, in FP32 when it is kept or its weights do not fit into FP16."""
        kind = FULL if node.name in self.kept or self._overflows(node) else HALF
        full = STAY_FULL.get(node.op_type, ())
        new = helper.make_node(node.op_type, [], [], name=node.name, domain=node.domain)
        new.attribute.extend(node.attribute)
        for place, name in enumerate(node.input):
            new.input.append(self.value(name, FULL if place in full else kind))
        for attribute in new.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == FULL:
                attribute.i = kind
        self.nodes.append(new)
        new.output.extend(self._made(name, kind) for name in node.output)

    def value(self, name: str, kind: int) -> str:
        """Return the name under which a value is to be had in FP32 or FP16; others keep theirs."""
        if name in self.weights:
            return self._weight(name, kind)
        if name not in self.floats:
            return name
        if name not in self.names[kind]:
            other = self.names[FULL if kind == HALF else HALF][name]
            self.names[kind][name] = f"{name}:{'half' if kind == HALF else 'full'}"
            self._cast(other, self.names[kind][name], kind)
        return self.names[kind][name]

    def finish(self) -> None:
        """Give every output its own name in FP32."""
        for name in sorted(self.outputs - set(self.names[FULL])):
            self._cast(self.names[HALF][name], name, FULL)

    def _cast(self, source: str, target: str, kind: int) -> None:
        self.nodes.append(helper.make_node("Cast", [source], [target], name=f"{target}/cast", to=kind))

    def _made(self, name: str, kind: int) -> str:
        if name not in self.floats:
            return name
        own = (name in self.outputs) == (kind == FULL)
        self.names[kind][name] = name if own else f"{name}:{'half' if kind == HALF else 'full'}"
        return self.names[kind][name]

    def _weight(self, name: str, kind: int) -> str:
        stored = f"{name}:full" if kind == FULL else name
        if stored not in self.stored:
            values = numpy_helper.to_array(self.weights[name])
            self.stored[stored] = numpy_helper.from_array(
                values.astype(np.float32 if kind == FULL else np.float16), stored
            )
        return stored

    def _overflows(self, node: onnx.NodeProto) -> bool:
        weights = (numpy_helper.to_array(self.weights[name]) for name in node.input if name in self.weights)
        return any(np.abs(values).max(initial=0.0) > LARGEST for values in weights)


def half_precision(model: onnx.ModelProto, kept: Collection[str] = ()) -> onnx.ModelProto:
    """Return the graph in FP16, with FP32 inputs and outputs.

    kept: names of nodes that go on computing in FP32; so do nodes whose weights are too large for FP16. Scales of Q/DQ
    pairs become FP16 too, which needs opset 19. Raises ModelError for a graph with inner graphs (If, Loop).
    """
    own = copy.deepcopy(model)
    if any(
        attribute.HasField("g") or attribute.graphs for node in own.graph.node for attribute in node.attribute
    ):
        raise ModelError(f"model {own.graph.name!r} has inner graphs (If, Loop), which cannot be made FP16")
    _store_constants(own)
    halver = _Halver(own, kept)
    for node in own.graph.node:
        halver.take(node)
    halver.finish()
    del own.graph.node[:], own.graph.initializer[:], own.graph.value_info[:]
    own.graph.node.extend(halver.nodes)
    own.graph.initializer.extend(halver.stored.values())
    return own


def _float_values(model: onnx.ModelProto) -> set[str]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    infos = [*graph.value_info, *graph.input, *graph.output]
    return {info.name for info in infos if info.type.tensor_type.elem_type == FULL}


def _store_constants(model: onnx.ModelProto) -> None:
    """Turn Constant nodes into initializers, so that there is one kind of constant."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
        else:
            model.graph.node.append(node)
