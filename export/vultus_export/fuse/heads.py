"""Outputs of a face network to fields of the FACE record: `vultus.decode.heads` in the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from vultus.decode.heads import DEGREES, FIELD_LABELS, LANDMARKS, check_heads
from vultus.errors import SpecError
from vultus.geometry import POINTS_IN_68
from vultus.spec import Head, InputSpec, ModelSpec
from vultus_export.fuse.align import Alignment
from vultus_export.fuse.graph import Graph, Value

__all__ = ["fields", "five_points"]


def fields(g: Graph, outputs: Mapping[str, Value], spec: ModelSpec, alignment: Alignment) -> dict[str, Value]:
    """Return the fields of k faces, float32 (k, ...) by name, in the order of the spec's heads.

    outputs: (k, width) a head, raw. A face whose output of a head is not finite gets NaN in that head's fields,
    and so does a label that the head does not know: not measured, as in the record. Raises SpecError for a head
    that no field takes.
    """
    check_heads(spec)
    names = [head.field for head in spec.heads]
    if len(set(names)) < len(names):
        raise SpecError(
            f"model {spec.name!r}: two heads write one field, which cannot be fused; leave one head out"
        )
    found: dict[str, Value] = {}
    for head in spec.heads:
        if head.kind not in _DECODERS:
            raise SpecError(
                f"model {spec.name!r}: a head of kind {head.kind!r} cannot be fused; leave {head.field} out"
            )
        with g.scope(head.field):
            raw = outputs[head.output]
            valid = g.op("Equal", g.op("ReduceSum", raw - raw, g.integers(1)), 0.0, dtype=bool)
            for name, value in _DECODERS[head.kind](g, raw, head, spec.input, alignment).items():
                found[name] = _shaped(g, g.where(valid, value, math.nan), head)
    return found


def five_points(g: Graph, landmarks: Value, points: Value) -> Value:
    """Return the five points (k, 5, 2) of landmarks (k, 68, 2), or those given where there are no landmarks."""
    weights = np.zeros((len(POINTS_IN_68), LANDMARKS), np.float32)
    for row, (first, count) in zip(weights, POINTS_IN_68, strict=True):
        row[first : first + count] = 1 / count
    found = g.op("MatMul", g.constant(weights, np.float32, "five"), landmarks)
    return g.where(g.op("IsNaN", found, dtype=bool), points, found)


def _shaped(g: Graph, value: Value, head: Head) -> Value:
    """Give a decoded (k, n) the shape of its field."""
    if head.kind == "landmarks":
        return g.op("Reshape", value, g.integers(-1, LANDMARKS, 2))
    single = head.kind in ("group_age", "percent") or len(FIELD_LABELS.get(head.field, "xx")) == 1
    return g.op("Squeeze", value, g.integers(1)) if single else value


def _softmax(g: Graph, raw: Value, head: Head, spec: InputSpec, alignment: Alignment) -> dict[str, Value]:
    return {head.field: _ordered(g, g.op("Softmax", raw, axis=1), head)}


def _sigmoids(g: Graph, raw: Value, head: Head, spec: InputSpec, alignment: Alignment) -> dict[str, Value]:
    return {head.field: _ordered(g, g.op("Sigmoid", raw), head)}


def _ordered(g: Graph, shares: Value, head: Head) -> Value:
    """Put probabilities into the order of the record's labels; what the head does not know is NaN."""
    known = FIELD_LABELS[head.field]
    if head.labels == known:
        return shares
    missing = len(head.labels)
    padded = g.op("Pad", shares, g.integers(0, 0, 0, 1), math.nan)
    places = [head.labels.index(label) if label in head.labels else missing for label in known]
    return g.op("Gather", padded, g.integers(*places), axis=1)


def _group_age(g: Graph, raw: Value, head: Head, spec: InputSpec, alignment: Alignment) -> dict[str, Value]:
    """Age and spread (k, 1) in years of Group-n logits (AGEn, Tan et al. 2017); see `vultus.decode.heads`."""
    evidence = g.op("AveragePool", g.op("Unsqueeze", raw, g.integers(1)), kernel_shape=[head.group])
    share = g.op("Softmax", g.op("Squeeze", evidence, g.integers(1)), axis=1)
    years = g.constant(np.arange(head.count, dtype=np.float32)[None], np.float32, "years")
    peak = g.op("ArgMax", share, dtype=np.int64, axis=1).cast(np.float32)
    near = (g.op("Abs", years - peak) <= float(head.group)).cast(np.float32) * share
    age = _sum(g, near * years) / _sum(g, near)
    far = years - age
    return {"age": age + float(head.first), "age_spread": g.op("Sqrt", _sum(g, share * far * far))}


def _landmarks(g: Graph, raw: Value, head: Head, spec: InputSpec, alignment: Alignment) -> dict[str, Value]:
    sides = g.constant([spec.width, spec.height], np.float32)
    pixels = (g.op("Reshape", raw, g.integers(-1, LANDMARKS, 2)) + 0.5) * sides - 0.5
    return {head.field: g.op("Reshape", alignment.to_frame(g, pixels), g.integers(-1, 2 * LANDMARKS))}


def _euler(g: Graph, raw: Value, head: Head, spec: InputSpec, alignment: Alignment) -> dict[str, Value]:
    yaw, pitch, roll = g.ops("Split", (None,) * 3, raw * DEGREES, axis=1, num_outputs=3)
    turned = roll - _arctangent(g, alignment.sine, alignment.cosine) * (180 / math.pi)
    wrapped = turned - g.op("Floor", (turned + 180.0) / 360.0) * 360.0
    return {head.field: g.op("Concat", yaw, pitch, wrapped, axis=1)}


def _arctangent(g: Graph, y: Value, x: Value) -> Value:
    """Return atan2(y, x) in radians, which ONNX lacks: by half the angle from the nearer end of the x axis."""
    length = g.op("Sqrt", x * x + y * y) + g.op("Abs", x)
    angle = g.op("Atan", y / length) * 2.0
    opposite = g.where(y < 0.0, -math.pi, math.pi)
    return g.where(x < 0.0, opposite - angle, angle)


def _percent(g: Graph, raw: Value, head: Head, spec: InputSpec, alignment: Alignment) -> dict[str, Value]:
    return {head.field: g.op("Sigmoid", raw) * 100.0}


def _sum(g: Graph, values: Value) -> Value:
    return g.op("ReduceSum", values, g.integers(1))


_Decoder = Callable[[Graph, Value, Head, InputSpec, Alignment], dict[str, Value]]

_DECODERS: dict[str, _Decoder] = {
    "softmax": _softmax,
    "sigmoid": _sigmoids,
    "group_age": _group_age,
    "landmarks": _landmarks,
    "euler": _euler,
    "percent": _percent,
}
