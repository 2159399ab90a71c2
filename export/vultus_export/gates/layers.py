"""Which layer strays? Each layer of a candidate runs alone on what the master feeds it, so errors do not add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from vultus.engines.ort import disabled_optimisers, session_options
from vultus.errors import ModelError
from vultus_export.runners import onnx_runner
from vultus_export.tidy import spec_of

__all__ = ["LayerError", "layer_errors"]

Array = npt.NDArray[Any]
Values = Mapping[str, Array]


@dataclass(frozen=True)
class LayerError:
    """How far a layer strays from the master: root mean square of the difference over that of the master's output.

    own: fed with the master's values. total: fed with what the candidate's layers before it give.
    """

    layer: str
    operator: str
    own: float
    total: float


@dataclass(frozen=True)
class _Segment:
    """The nodes of the candidate that do what one layer of the master does.

    inputs: the candidate's name -> the master's name of every value that it reads.
    """

    layer: onnx.NodeProto
    output: str
    nodes: tuple[onnx.NodeProto, ...]
    inputs: dict[str, str]


def layer_errors(
    master: onnx.ModelProto, candidate: onnx.ModelProto, batches: Iterable[npt.NDArray[np.float32]]
) -> list[LayerError]:
    """Return the deviation of every layer with weights that both graphs name, the largest of its own first.

    batches: network inputs, a few. Empty when the graphs share no layer.
    """
    segments = _segments(master, candidate)
    if not segments:
        return []
    asked = {name for one in segments for name in (one.layer.output[0], *one.inputs.values())}
    given = {item.name for item in master.graph.input}
    watch = onnx_runner(_with_outputs(master, asked - given), spec_of(master))
    follow = onnx_runner(_with_outputs(candidate, {one.output for one in segments}), spec_of(candidate))
    alone = [_alone(candidate, one) for one in segments]
    sums = np.zeros((len(segments), 3))
    for batch in batches:
        wanted: Values = {**watch(batch), **dict.fromkeys(given, batch)}
        got = follow(batch)
        for place, (one, run) in enumerate(zip(segments, alone, strict=True)):
            true = wanted[one.layer.output[0]].astype(np.float64)
            own = run({name: wanted[source] for name, source in one.inputs.items()})
            sums[place] += ((own - true) ** 2).sum(), ((got[one.output] - true) ** 2).sum(), (true**2).sum()
    errors = np.sqrt(sums[:, :2] / np.maximum(sums[:, 2:], 1e-30))
    found = [
        LayerError(one.layer.name, one.layer.op_type, float(own), float(total))
        for one, (own, total) in zip(segments, errors, strict=True)
    ]
    return sorted(found, key=lambda one: -one.own if np.isfinite(one.own) else -np.inf)


def _segments(master: onnx.ModelProto, candidate: onnx.ModelProto) -> list[_Segment]:
    """Match the graphs by the names of their nodes; what stands between (casts, Q/DQ) belongs to the layer behind."""
    theirs = {node.name: node for node in candidate.graph.node if node.name}
    shared = [
        node
        for node in master.graph.node
        if node.name in theirs and theirs[node.name].op_type == node.op_type
    ]
    known = {item.name: item.name for item in master.graph.input}
    for node in shared:
        known.update(zip(theirs[node.name].output, node.output, strict=True))
    makers = {name: node for node in candidate.graph.node for name in node.output}
    weights = {item.name for item in master.graph.initializer}
    return [_segment(node, theirs[node.name], known, makers) for node in shared if weights & set(node.input)]


def _segment(
    layer: onnx.NodeProto, own: onnx.NodeProto, known: Mapping[str, str], makers: Mapping[str, onnx.NodeProto]
) -> _Segment:
    inputs: dict[str, str] = {}
    nodes: dict[str, onnx.NodeProto] = {}

    def walk(node: onnx.NodeProto) -> None:
        for name in node.input:
            if name in known:
                inputs[name] = known[name]
            elif name in makers and name not in nodes:
                walk(makers[name])
        nodes.update(dict.fromkeys(node.output, node))

    walk(own)
    listed = {id(node): node for node in nodes.values()}
    return _Segment(layer, own.output[0], tuple(listed.values()), inputs)


def _with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Return the graph with these values as further outputs."""
    own = onnx.ModelProto()
    own.CopyFrom(model)
    there = {item.name for item in own.graph.output}
    kinds = _types(model)
    own.graph.output.extend(
        helper.make_tensor_value_info(name, kinds[name], None) for name in sorted(set(names) - there)
    )
    return own


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every value of a graph."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    infos = (*graph.value_info, *graph.input, *graph.output)
    return {info.name: info.type.tensor_type.elem_type for info in infos}


def _alone(candidate: onnx.ModelProto, one: _Segment) -> Callable[[Values], Array]:
    """Return what runs a segment by itself, on values of the master in the types that the candidate uses."""
    kinds = _types(candidate)
    used = {name for node in one.nodes for name in node.input}
    graph = helper.make_graph(
        one.nodes,
        one.layer.name,
        [helper.make_tensor_value_info(name, kinds[name], None) for name in one.inputs],
        [helper.make_tensor_value_info(one.output, kinds[one.output], None)],
        [item for item in candidate.graph.initializer if item.name in used],
    )
    model = helper.make_model(graph, opset_imports=candidate.opset_import, ir_version=candidate.ir_version)
    session = _session(model, spec_of(candidate).precision)
    types = {name: helper.tensor_dtype_to_np_dtype(kinds[name]) for name in one.inputs}

    def run(values: Values) -> Array:
        fed = {name: values[name].astype(kind) for name, kind in types.items()}
        result: Array = session.run([one.output], fed)[0]
        return result.astype(np.float64)

    return run


def _session(model: onnx.ModelProto, precision: str) -> Any:
    import onnxruntime as ort

    try:
        return ort.InferenceSession(
            model.SerializeToString(),
            session_options(threads=1),
            providers=["CPUExecutionProvider"],
            disabled_optimizers=disabled_optimisers(precision),
        )
    except Exception as error:  # its exceptions share no base class
        raise ModelError(f"layer {model.graph.name!r} does not run by itself: {error}") from error
