"""Decoding and suppression in the graph against those of the runtime, on maps that a network might give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vultus.decode.anchors import VALUES, anchors_per_cell, decode
from vultus.decode.nms import suppress
from vultus.spec import AnchorLevel, DetectorSpec, InputSpec, ModelSpec
from vultus_export.fuse.boxes import candidates
from vultus_export.fuse.graph import Graph, Value
from vultus_export.fuse.suppress import suppress as fused_suppress

LEVELS = (AnchorLevel("fine", 8, (10.0, 20.0), (2, 1)), AnchorLevel("coarse", 16, (40.0,), (1,)))
DETECTOR = DetectorSpec("anchors", LEVELS, min_score=0.5, nms_iou=0.4, max_faces=12)
SPEC = ModelSpec("maps", "1", "detector", InputSpec("image", 64, 48, multiple=16), detector=DETECTOR)
WHOLE = np.array([[1.0, 0, 0], [0, 1, 0]])

Maps = dict[str, npt.NDArray[np.float32]]


def made_maps(seed: int, hot: float, rows: int = 3, columns: int = 4) -> Maps:
    """Return random maps in which about `hot` of the anchors hold a face."""
    random = np.random.default_rng(seed)
    maps: Maps = {}
    for level in LEVELS:
        scale = 16 // level.stride
        shape = (anchors_per_cell(level), VALUES, rows * scale, columns * scale)
        values = random.normal(0, 1, shape).astype(np.float32)
        values[:, 0] = np.where(random.random(shape[:1] + shape[2:]) < hot, 1, -1) * random.random()
        values[:, 0] *= random.random(values[:, 0].shape).round(1) + 0.1  # equal scores do occur
        maps[level.output] = values.reshape(1, -1, *shape[2:])
    return maps


@pytest.fixture(scope="module")
def found(runner: Any) -> Any:
    """Return a call that decodes maps and suppresses in the graph: scores, boxes and points."""

    def part(g: Graph, inputs: dict[str, Value]) -> dict[str, Value]:
        faces = candidates(g, inputs, DETECTOR, 0.0)
        kept = fused_suppress(g, faces.boxes, DETECTOR.nms_iou, DETECTOR.max_faces)
        values = {"logits": faces.logits, "boxes": faces.boxes, "points": faces.points}
        return {name: g.op("Gather", value, kept, axis=0) for name, value in values.items()}

    inputs = {level.output: (np.float32, [1, anchors_per_cell(level) * VALUES, "r", "c"]) for level in LEVELS}
    return runner(part, inputs, {"logits": ["n"], "boxes": ["n", 4], "points": ["n", 5, 2]})


def assert_same(found: Any, maps: Maps) -> int:
    wanted = decode(maps, 0, SPEC, WHOLE, DETECTOR.min_score)
    got = found(**maps)
    scores = 1 / (1 + np.exp(-got["logits"].astype(np.float64)))
    assert len(got["boxes"]) == len(wanted)
    np.testing.assert_allclose(scores, wanted["score"], rtol=1e-6)
    np.testing.assert_allclose(got["boxes"], wanted["box"], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(got["points"], wanted["points"], rtol=1e-5, atol=1e-4)
    return len(wanted)


@pytest.mark.parametrize("hot", [0.0, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_faces_in_the_same_order(found: Any, seed: int, hot: float) -> None:
    count = assert_same(found, made_maps(seed, hot))
    assert count == 0 if hot == 0 else count > 0
    assert hot < 1 or count == DETECTOR.max_faces


def test_maps_of_another_size(found: Any) -> None:
    assert assert_same(found, made_maps(5, 0.2, rows=5, columns=2))


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 3, 14])
def test_anchors_with_a_number_that_is_not_finite_are_dropped(found: Any, broken: float, place: int) -> None:
    maps = made_maps(6, 0.06)
    clean = assert_same(found, maps)
    maps["coarse"][:, place] = broken
    maps["fine"][:, place::VALUES, ::2] = broken
    assert 0 < assert_same(found, maps) < clean


def test_extreme_numbers_stay_bounded(found: Any) -> None:
    maps = made_maps(7, 0.2)
    maps["coarse"][:, 3:5] = 1e6
    assert assert_same(found, maps)


@pytest.fixture(scope="module")
def fused(runner: Any) -> Any:
    """Return suppression in the graph alone, up to 6 boxes."""

    def part(g: Graph, inputs: dict[str, Value]) -> dict[str, Value]:
        return {"kept": fused_suppress(g, inputs["boxes"], 0.4, 6)}

    return runner(part, {"boxes": (np.float32, ["n", 4])}, {"kept": ["k"]})


BOXES = arrays.arrays(
    np.float32, st.tuples(st.integers(0, 24), st.just(4)), elements=st.integers(-8, 8).map(float)
)


@settings(max_examples=150, deadline=None)
@given(boxes=BOXES)
def test_suppression_keeps_what_the_runtime_keeps(fused: Any, boxes: npt.NDArray[np.float32]) -> None:
    """Small whole numbers make equal boxes, empty ones and ones turned inside out."""
    falling = -np.arange(len(boxes))
    np.testing.assert_array_equal(fused(boxes=boxes)["kept"], suppress(boxes, falling, 0.4, 6))
