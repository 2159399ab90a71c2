"""Decoded attributes in the graph against those of the runtime, head by head."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vultus.decode.heads import decode_into, output_width
from vultus.errors import SpecError
from vultus.geometry import FACE_TEMPLATE, crop_affines
from vultus.spec import Head, InputSpec, ModelSpec
from vultus.types import ATTRIBUTES, ETHNICITIES, EXPRESSIONS, FACE, FACIAL_HAIR, GENDERS, empty_faces
from vultus_export.fuse.align import align
from vultus_export.fuse.graph import Graph, Value
from vultus_export.fuse.heads import fields

HEADS = {
    "landmarks": Head("o", "landmarks", "landmarks", count=68),
    "pose": Head("o", "euler", "pose"),
    "age": Head("o", "group_age", "age", first=10, count=70, group=11),
    "age of single years": Head("o", "group_age", "age", count=101, group=1),
    "gender": Head("o", "softmax", "gender", GENDERS),
    "gender, other order": Head("o", "softmax", "gender", GENDERS[::-1]),
    "ethnicity in part": Head("o", "softmax", "ethnicity", (ETHNICITIES[3], ETHNICITIES[0])),
    "expression": Head("o", "softmax", "expression", EXPRESSIONS),
    "smile": Head("o", "percent", "smile"),
    "attractiveness": Head("o", "percent", "attractiveness"),
    "eyeglasses": Head("o", "sigmoid", "eyeglasses", ("eyeglasses",)),
    "quality": Head("o", "sigmoid", "quality", ("quality",)),
    "facial hair in part": Head("o", "sigmoid", "facial_hair", FACIAL_HAIR[1:4]),
}
TURNS = (0.0, 35.0, -35.0, 90.0, -90.0, 179.0, -179.0, 180.0)


def made_points() -> npt.NDArray[np.float32]:
    """Return the points of a face for each of TURNS: (8, 5, 2)."""
    angles = np.radians(TURNS)
    turns = np.array([[[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]] for a in angles])
    return np.asarray((FACE_TEMPLATE - 0.5) * 90 @ turns + (70, 80), np.float32)


def network(heads: Sequence[Head]) -> ModelSpec:
    return ModelSpec("heads", "1", "face", InputSpec("image", 64, 64), heads=tuple(heads))


def both(
    runner: Any, head: Head, raw: npt.NDArray[np.float32], points: npt.NDArray[np.float32]
) -> tuple[Any, dict[str, Any]]:
    """Return what the runtime and what the graph make of an output."""
    spec = network([head])

    def part(g: Graph, inputs: dict[str, Value]) -> dict[str, Value]:
        return fields(g, {"o": inputs["raw"]}, spec, align(g, inputs["points"], spec.input))

    names = ["age", "age_spread"] if head.kind == "group_age" else [head.field]
    shapes = {name: ["k", *FACE[name].shape] for name in names}
    inputs = {"raw": (np.float32, ["k", raw.shape[1]]), "points": (np.float32, ["k", 5, 2])}
    faces = empty_faces(len(raw))
    decode_into({"o": raw}, spec, crop_affines(points, 64), faces, ATTRIBUTES)
    return faces, runner(part, inputs, shapes)(raw=raw, points=points)


@pytest.mark.parametrize("scale", [0.5, 8.0])
@pytest.mark.parametrize("name", HEADS)
def test_the_numbers_of_the_runtime(runner: Any, name: str, scale: float) -> None:
    head = HEADS[name]
    raw = (
        np.random.default_rng(len(name)).normal(0, scale, (len(TURNS), output_width(head))).astype(np.float32)
    )
    faces, got = both(runner, head, raw, made_points())
    for field, values in got.items():
        assert values.shape == faces[field].shape
        tolerance = 2e-3 if field in ("landmarks", "pose", "age_spread") else 2e-4
        wanted = faces[field]
        if field == "pose":  # a roll of 180 degrees is one of -180
            values = wanted + (values - wanted + 180) % 360 - 180
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=tolerance)
    assert np.isnan(faces[head.field]).any() == ("in part" in name)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", HEADS)
def test_an_output_that_is_not_finite_is_not_measured(runner: Any, name: str, broken: float) -> None:
    head = HEADS[name]
    raw = np.random.default_rng(1).normal(0, 1, (len(TURNS), output_width(head))).astype(np.float32)
    raw[2, -1] = broken
    faces, got = both(runner, head, raw, made_points())
    for field, values in got.items():
        assert np.isnan(values[2]).all()
        assert np.isfinite(values[1]).any()
        np.testing.assert_array_equal(np.isnan(values), np.isnan(faces[field]))


FAULTS = {
    "two heads write one field": [HEADS["gender"], replace(HEADS["gender"], output="p")],
    "expected each at most once out of": [replace(HEADS["gender"], labels=("female", "robot"))],
}


@pytest.mark.parametrize("message", FAULTS)
def test_heads_that_cannot_be_fused(message: str) -> None:
    g = Graph()
    points = Value(g, "points", np.dtype(np.float32))
    raw = Value(g, "raw", np.dtype(np.float32))
    spec = network(FAULTS[message])
    with pytest.raises(SpecError, match=re.escape(message)):
        fields(g, {"o": raw, "p": raw}, spec, align(g, points, spec.input))
