"""Batch normalisation folded out of a graph: into the convolution before it, or into a scale and a shift."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference

from vultus.errors import ModelError

__all__ = ["fold_batch_norms"]

Array = npt.NDArray[np.float64]


class _Folder:
    """Indices over one graph, kept while its normalisations are replaced."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.weights = {item.name: item for item in model.graph.initializer}
        self.producer = {name: node for node in model.graph.node for name in node.output}
        self.uses: dict[str, int] = {}
        names = [name for node in model.graph.node for name in node.input]
        for name in names + [output.name for output in model.graph.output]:
            self.uses[name] = self.uses.get(name, 0) + 1
        self.ranks = _ranks(model)

    def constant(self, name: str) -> Array:
        """Return the values of an initializer or Constant node as float64."""
        if name in self.weights:
            return numpy_helper.to_array(self.weights[name]).astype(np.float64)
        node = self.producer.get(name)
        if node is None or node.op_type != "Constant":
            raise ModelError(f"a BatchNormalization takes {name!r}, which is computed: it cannot be folded")
        return numpy_helper.to_array(node.attribute[0].t).astype(np.float64)

    def add(self, name: str, values: Array) -> str:
        """Store new float32 weights and return their name, which is new too."""
        while name in self.weights or name in self.producer:
            name += "_"
        self.weights[name] = numpy_helper.from_array(values.astype(np.float32), name)
        self.graph.initializer.append(self.weights[name])
        return name

    def fold(self, norm: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return the nodes that stand in for a normalisation; none when the convolution took it over."""
        scale, shift = self._affine(norm)
        source = self.producer.get(norm.input[0])
        if source is not None and source.op_type == "Conv" and self.uses[norm.input[0]] == 1:
            self._into_conv(source, scale, shift)
            del source.output[:]
            source.output.append(norm.output[0])
            self.producer[norm.output[0]] = source
            return []
        return self._as_affine(norm, scale, shift)

    def _affine(self, norm: onnx.NodeProto) -> tuple[Array, Array]:
        attributes = {item.name: item for item in norm.attribute}
        if "training_mode" in attributes and attributes["training_mode"].i:
            raise ModelError(
                f"BatchNormalization {norm.name!r} is in training mode; export the model in eval mode"
            )
        epsilon = attributes["epsilon"].f if "epsilon" in attributes else 1e-5
        gain, bias, mean, variance = (self.constant(name) for name in list(norm.input)[1:5])
        scale = gain / np.sqrt(variance + epsilon)
        return scale, bias - mean * scale

    def _into_conv(self, conv: onnx.NodeProto, scale: Array, shift: Array) -> None:
        weight = self.constant(conv.input[1])
        biased = len(conv.input) > 2 and conv.input[2]
        bias = self.constant(conv.input[2]) * scale + shift if biased else shift
        weight *= scale.reshape(-1, *([1] * (weight.ndim - 1)))
        stem = conv.input[1].removesuffix(".weight")
        conv.input[1] = self.add(f"{stem}.folded.weight", weight)
        del conv.input[2:]
        conv.input.append(self.add(f"{stem}.folded.bias", bias))

    def _as_affine(self, norm: onnx.NodeProto, scale: Array, shift: Array) -> list[onnx.NodeProto]:
        rank = self.ranks.get(norm.input[0], 4)
        shape = (-1, *([1] * (rank - 2)))
        out = norm.output[0]
        stem = norm.input[1].removesuffix(".weight")
        scale_name = self.add(f"{stem}.scale", scale.reshape(shape))
        shift_name = self.add(f"{stem}.shift", shift.reshape(shape))
        return [
            helper.make_node("Mul", [norm.input[0], scale_name], [f"{out}.scaled"], name=scale_name),
            helper.make_node("Add", [f"{out}.scaled", shift_name], [out], name=shift_name),
        ]


def fold_batch_norms(model: onnx.ModelProto) -> int:
    """Replace every BatchNormalization of the graph in place and return how many there were.

    Raises ModelError for one in training mode or with computed statistics.
    """
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    if not norms:
        return 0
    folder = _Folder(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.extend(folder.fold(node) if node.op_type == "BatchNormalization" else [node])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return len(norms)


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    graph = shape_inference.infer_shapes(model).graph
    infos = [*graph.value_info, *graph.input, *graph.output]
    return {info.name: len(info.type.tensor_type.shape.dim) for info in infos}
