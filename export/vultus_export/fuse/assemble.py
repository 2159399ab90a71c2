"""The parts in their order: letterbox, detector, suppression, alignment, crops, face network, fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

import vultus
from vultus.spec import ModelSpec
from vultus.types import FACE
from vultus_export.contract import check_graph
from vultus_export.fuse.align import align
from vultus_export.fuse.boxes import candidates
from vultus_export.fuse.crops import crops
from vultus_export.fuse.graph import Graph, Value
from vultus_export.fuse.heads import fields, five_points
from vultus_export.fuse.letterbox import Letterbox, letterbox
from vultus_export.fuse.network import embed, operator_sets
from vultus_export.fuse.settings import Settings, detector_of, face_of, metadata, sized
from vultus_export.fuse.suppress import suppress
from vultus_export.tidy import spec_of, strip

__all__ = ["COUNT", "FRAME", "fused_model", "measured_fields"]

FRAME, COUNT = "frame", "count"
IR_VERSION = 10
"""The newest that ONNX Runtime 1.20 reads."""


def fused_model(
    detector: onnx.ModelProto, face: onnx.ModelProto | None = None, settings: Settings | None = None
) -> onnx.ModelProto:
    """Return one graph of a detector, a face network if there is one, and all that the runtime does around them.

    It takes `frame`, uint8 (H, W, 3) BGR, and gives `count`, int64, and the fields of the FACE record as float32
    (max_faces, ...), best face first; rows from `count` on are 0. Equal networks and settings give equal bytes.
    Raises ModelError or SpecError when the networks cannot be fused or the settings do not suit them.
    """
    chosen = settings or Settings()
    spec = sized(spec_of(detector, "the detector"), chosen)
    second = face_of(spec_of(face, "the face network")) if face else None
    g = Graph()
    frame = Value(g, FRAME, np.dtype(np.uint8))
    found = _faces(g, frame, detector, spec, chosen)
    kept = dict(found)
    if face and second:
        kept |= _attributes(g, frame, found["points"], face, second)
    outputs = [_count(g, found["score"]), *_padded(g, kept, measured_fields(second), chosen.max_faces)]
    proto = g.finished(_name(spec, second), [_frame_info()], outputs)
    return _finished(proto, [model for model in (detector, face) if model], metadata(spec, second, chosen))


def measured_fields(face: ModelSpec | None) -> tuple[str, ...]:
    """Return the fields of the FACE record that a fused file gives, in the order of the record."""
    names = {"box", "score", "points", *(head.field for head in (face.heads if face else ()))}
    names |= {"age_spread"} & {f"{name}_spread" for name in names}
    return tuple(name for name in FACE.names or () if name in names)


def _faces(
    g: Graph, frame: Value, model: onnx.ModelProto, spec: ModelSpec, settings: Settings
) -> dict[str, Value]:
    """Return score (k,), box (k, 4) and points (k, 5, 2) in frame pixels, best first."""
    detector = detector_of(spec)
    box = letterbox(g, frame, spec.input, settings.size)
    maps = embed(g, model, "detector", box.tensor)
    logit = math.log(detector.min_score) - math.log1p(-detector.min_score)
    found = candidates(g, maps, detector, logit)
    kept = suppress(g, found.boxes, detector.nms_iou, settings.max_faces)
    logits, boxes, points = (
        g.op("Gather", v, kept, axis=0) for v in (found.logits, found.boxes, found.points)
    )
    corners = _to_frame(g, g.op("Reshape", boxes, g.integers(-1, 2, 2)), box)
    return {
        "score": g.op("Sigmoid", logits),
        "box": g.op("Reshape", corners, g.integers(-1, 4)),
        "points": _to_frame(g, points, box),
    }


def _to_frame(g: Graph, points: Value, box: Letterbox) -> Value:
    return (points + 0.5) * box.pixel - 0.5


def _attributes(
    g: Graph, frame: Value, points: Value, model: onnx.ModelProto, spec: ModelSpec
) -> dict[str, Value]:
    """Return the fields that the face network measures; without a face it does not run at all."""
    refined = any(head.kind == "landmarks" for head in spec.heads)
    given = ("box", "score") if refined else ("box", "score", "points")
    names = [name for name in measured_fields(spec) if name not in given]

    def measure() -> Sequence[Value]:
        alignment = align(g, points, spec.input)
        outputs = embed(g, model, "face", crops(g, frame, alignment, spec.input))
        values = fields(g, outputs, spec, alignment)
        if refined:
            values["points"] = five_points(g, values["landmarks"], points)
        return [values[name] for name in names]

    def nothing() -> Sequence[Value]:
        return [g.constant(np.zeros((0, *FACE[name].shape)), np.float32, f"no.{name}") for name in names]

    any_face = g.op("Squeeze", g.op("Shape", points, dtype=np.int64, end=1) > 0)
    return dict(zip(names, g.choose(any_face, measure, nothing), strict=True))


def _count(g: Graph, scores: Value) -> onnx.ValueInfoProto:
    """Write the output `count`."""
    g.nodes.append(helper.make_node("Size", [scores.name], [COUNT], name=COUNT))
    return helper.make_tensor_value_info(COUNT, onnx.TensorProto.INT64, [])


def _padded(
    g: Graph, kept: Mapping[str, Value], names: Sequence[str], most: int
) -> list[onnx.ValueInfoProto]:
    """Write the outputs (max_faces, ...): the fields with rows of 0 after the last face."""
    outputs = []
    free = g.integers(most) - g.op("Shape", kept["score"], dtype=np.int64)
    for name in names:
        shape = FACE[name].shape
        none = [g.integers(*[0] * len(shape))] if shape else []
        pads = g.op("Concat", g.integers(0), *none, free, *none, axis=0)
        g.nodes.append(helper.make_node("Pad", [kept[name].name, pads.name], [name], name=name))
        outputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [most, *shape]))
    return outputs


def _frame_info() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(FRAME, onnx.TensorProto.UINT8, ["height", "width", 3])


def _name(detector: ModelSpec, face: ModelSpec | None) -> str:
    return "+".join(f"{spec.name}-{spec.version}" for spec in (detector, face) if spec)


def _finished(
    graph: onnx.GraphProto, models: Sequence[onnx.ModelProto], entries: Mapping[str, str]
) -> onnx.ModelProto:
    """Return a model of the graph that passes ONNX's full check, with its metadata."""
    model = helper.make_model(graph, opset_imports=operator_sets(*models), ir_version=IR_VERSION)
    strip(model)
    model.producer_name, model.producer_version = "vultus", vultus.__version__
    helper.set_model_props(model, dict(entries))
    check_graph(model)
    return model
