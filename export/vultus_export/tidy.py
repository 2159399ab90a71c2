"""A graph made canonical: stable readable names, no dead parts, nothing of the machine that made it."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import onnx

import vultus
from vultus.errors import SpecError
from vultus.spec import METADATA_KEY, ModelSpec, spec_from_json, spec_to_json

__all__ = ["drop_dead", "keep_outputs", "name_nodes", "name_unnamed", "spec_of", "stamp", "strip"]

PREFIX = "network."
"""What the wrapper around the exported network puts ahead of every name."""

SCOPES = "pkg.torch.onnx.name_scopes"
WEIGHTS = ("weight", "scale", "shift")


def keep_outputs(model: onnx.ModelProto, names: Iterable[str]) -> None:
    """Leave these outputs alone, in this order, and drop everything that only the others needed."""
    outputs = {output.name: output for output in model.graph.output}
    _replace(model.graph.output, [outputs[name] for name in names])
    drop_dead(model)


def drop_dead(model: onnx.ModelProto) -> None:
    """Drop nodes and weights that no output needs, and inputs that are really weights (old ONNX)."""
    graph = model.graph
    needed = {output.name for output in graph.output}
    alive: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            alive.append(node)
            needed.update(_reads(node))
    weights = [item for item in graph.initializer if item.name in needed]
    stored = {item.name for item in graph.initializer}
    inputs = [item for item in graph.input if item.name not in stored]
    _replace(graph.node, reversed(alive))
    _replace(graph.initializer, weights)
    _replace(graph.input, inputs)


def name_nodes(model: onnx.ModelProto) -> None:
    """Name every node after its weights' place in the module, and every value after its node.

    Exporters number nodes by the order of their passes; reports per layer need names that a reader knows.
    """
    graph = model.graph
    fixed = {item.name for item in [*graph.input, *graph.output]}
    new = {item.name: item.name.removeprefix(PREFIX) for item in graph.initializer}
    reserved = fixed | set(new.values())
    taken: set[str] = set()
    for node in graph.node:
        node.name = _unique(_stem(node, new), taken)
        for place, name in enumerate(node.output):
            value = f"{node.name}:{place}" if place or node.name in reserved else node.name
            new[name] = name if name in fixed or not name else value
    for node in graph.node:
        _replace(node.input, [new.get(name, name) for name in node.input])
        _replace(node.output, [new[name] for name in node.output])
    for item in graph.initializer:
        item.name = new[item.name]


def name_unnamed(model: onnx.ModelProto) -> None:
    """Name the nodes unless each has a name of its own already."""
    if len({node.name for node in model.graph.node} - {""}) < len(model.graph.node):
        name_nodes(model)


def strip(model: onnx.ModelProto) -> None:
    """Remove documentation, traces, shapes inferred on the way and unused operator sets."""
    model.doc_string = ""
    model.domain = ""
    del model.metadata_props[:]
    for graph in _graphs(model.graph):
        del graph.value_info[:]
        items = [graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
        for item in items:
            item.doc_string = ""
            del item.metadata_props[:]
    used = {node.domain for graph in _graphs(model.graph) for node in graph.node}
    _replace(model.opset_import, [item for item in model.opset_import if item.domain in used])


def stamp(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Write the spec into the metadata, and who made the file."""
    model.producer_name, model.producer_version = "vultus", vultus.__version__
    model.graph.name = spec.name
    kept = [(item.key, item.value) for item in model.metadata_props if item.key != METADATA_KEY]
    onnx.helper.set_model_props(model, dict(sorted([*kept, (METADATA_KEY, spec_to_json(spec))])))


def spec_of(model: onnx.ModelProto, where: str = "the model") -> ModelSpec:
    """Return the spec that a graph carries; raises SpecError when there is none."""
    for item in model.metadata_props:
        if item.key == METADATA_KEY:
            return spec_from_json(item.value, where)
    raise SpecError(f"{where} carries no vultus spec; give it one with: vultus-export adopt FILE --spec TOML")


def _stem(node: onnx.NodeProto, names: dict[str, str]) -> str:
    """Return the module path of the node's first weight, or that of the node itself with its operator."""
    for name in node.input:
        stem, dot, kind = names.get(name, "").rpartition(".")
        if dot and kind in WEIGHTS:
            return stem
    scopes = next((item.value for item in node.metadata_props if item.key == SCOPES), "[]")
    path = [scope.removeprefix(PREFIX) for scope in ast.literal_eval(scopes)[:-1]]
    return "/".join([part for part in path[-1:] if part and part + "." != PREFIX] + [node.op_type.lower()])


def _unique(stem: str, taken: set[str]) -> str:
    names = itertools.chain([stem], (f"{stem}_{count}" for count in itertools.count(2)))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def _reads(node: onnx.NodeProto) -> set[str]:
    inner = (_reads(child) for graph in _subgraphs(node) for child in graph.node)
    return set(node.input).union(*inner)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for inner in _subgraphs(node):
            yield from _graphs(inner)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _replace(field: Any, items: Iterable[Any]) -> None:
    """Give a repeated protobuf field new content; the items may come from the field itself."""
    listed = [copy.deepcopy(item) for item in items]
    del field[:]
    field.extend(listed)
