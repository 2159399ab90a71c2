"""A whole network as a part of a larger graph: its nodes and weights under a prefix."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.compose
import onnx.inliner
import onnx.version_converter
from onnx import helper

from vultus.errors import ModelError
from vultus_export.exporter import OPSET
from vultus_export.fuse.graph import Graph, Value

__all__ = ["embed", "operator_sets"]


def embed(g: Graph, model: onnx.ModelProto, prefix: str, images: Value) -> dict[str, Value]:
    """Write a network's nodes and weights into the open body and return its outputs as float32, by name.

    images: float32 (batch, 3, height, width). Every name of the network gets `prefix` and a slash ahead of it.
    Raises ModelError when the network cannot be brought to the operator set of the fused file.
    """
    graph = onnx.compose.add_prefix(_at_opset(model), f"{prefix}/").graph
    stored = {item.name for item in graph.initializer}
    entry = next(item for item in graph.input if item.name not in stored)
    given = images.cast(_dtype(entry))
    g.nodes.append(helper.make_node("Identity", [given.name], [entry.name], name=f"{prefix}/input"))
    g.nodes.extend(graph.node)
    g.weights.update({item.name: item for item in graph.initializer})
    values = [Value(g, item.name, np.dtype(_dtype(item))) for item in graph.output]
    return {value.name.removeprefix(f"{prefix}/"): value.cast(np.float32) for value in values}


def operator_sets(*models: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    """Return the operator sets of a graph that holds these networks; raises ModelError when two disagree."""
    sets = {"": OPSET}
    for model in models:
        for item in model.opset_import:
            if item.domain and sets.setdefault(item.domain, item.version) != item.version:
                raise ModelError(
                    f"the networks need two versions of the operators {item.domain!r}; export both anew"
                )
    return [helper.make_opsetid(domain, version) for domain, version in sorted(sets.items())]


def _at_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without local functions at the operator set of the fused file."""
    flat = onnx.inliner.inline_local_functions(model) if model.functions else model
    version = next((item.version for item in flat.opset_import if item.domain in ("", "ai.onnx")), OPSET)
    if version == OPSET:
        return flat
    try:
        return onnx.version_converter.convert_version(flat, OPSET)
    except Exception as error:  # the converter lets every kind of error through
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"the network {model.graph.name!r} has operator set {version} and cannot be brought to {OPSET}: {reason[0]}"
        ) from error


def _dtype(item: onnx.ValueInfoProto) -> np.dtype[np.generic]:
    return np.dtype(helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type))
