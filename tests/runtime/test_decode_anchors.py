"""Anchor maps to faces: the encoding, its inverse, and outputs that are empty, odd or broken."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.decode.anchors import (
    VALUES,
    anchor_grid,
    anchors_per_cell,
    cell_offsets,
    decode,
    decode_values,
    encode_values,
)
from vultus.errors import ModelError, SpecError
from vultus.geometry import box_iou, letterbox_affine
from vultus.spec import AnchorLevel, DetectorSpec, Head, InputSpec, ModelSpec

LEVELS = (
    AnchorLevel("fine", 8, (10.0, 20.0), (2, 1)),
    AnchorLevel("coarse", 32, (160.0, 320.0), (1, 1)),
)
SPEC = ModelSpec(
    "test-detector",
    "1",
    "detector",
    InputSpec("image", 64, 64, multiple=32),
    DetectorSpec("anchors", LEVELS, max_faces=20),
)
SAME = np.array([[1.0, 0, 0], [0, 1, 0]])
Outputs = dict[str, np.ndarray]


def empty_outputs(width: int = 64, height: int = 64, batch: int = 1) -> Outputs:
    """Maps in which no anchor holds a face."""
    made = {}
    for level in LEVELS:
        count = anchors_per_cell(level)
        maps = np.zeros((batch, count, VALUES, height // level.stride, width // level.stride), np.float32)
        maps[:, :, 0] = -8
        made[level.output] = maps.reshape(batch, count * VALUES, *maps.shape[3:])
    return made


def put(
    outputs: Outputs,
    level: AnchorLevel,
    at: tuple[int, int, int, int],
    logit: float,
    box: np.ndarray,
    points: np.ndarray,
) -> None:
    """Write one face at (picture, anchor, row, column)."""
    picture, which, row, column = at
    maps = outputs[level.output]
    split = maps.reshape(len(maps), -1, VALUES, *maps.shape[2:])
    anchor = anchor_grid(level, *maps.shape[2:])[which, row, column]
    values = encode_values(box[None], points[None], anchor[None], SPEC.detector.variances)[0]  # type: ignore[union-attr]
    split[picture, which, :, row, column] = [logit, *values]


def points_in(box: np.ndarray) -> np.ndarray:
    spots = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.55], [0.35, 0.8], [0.65, 0.8]])
    return np.asarray(box[:2] + spots * (box[2:] - box[:2]))


def test_anchors_of_a_cell_go_by_size_then_row_then_column() -> None:
    expected = [[1.5, 1.5, 10], [5.5, 1.5, 10], [1.5, 5.5, 10], [5.5, 5.5, 10], [3.5, 3.5, 20]]
    np.testing.assert_array_equal(cell_offsets(LEVELS[0]), expected)


def test_the_grid_moves_cells_by_the_stride() -> None:
    grid = anchor_grid(LEVELS[0], 3, 5)
    assert grid.shape == (5, 3, 5, 3)
    np.testing.assert_array_equal(grid[1, 2, 4], [5.5 + 4 * 8, 1.5 + 2 * 8, 10])


@given(
    st.floats(-50, 50),
    st.floats(-50, 50),
    st.floats(0.05, 30),
    st.floats(0.05, 30),
    st.sampled_from([10.0, 40.0, 320.0]),
)
@settings(max_examples=200, deadline=None)
def test_encoding_and_decoding_are_inverse(x: float, y: float, w: float, h: float, size: float) -> None:
    box = np.array([x, y, x + w * size, y + h * size])
    anchor = np.array([[12.5, 7.5, size]])
    values = encode_values(box[None], points_in(box)[None], anchor, (0.1, 0.2))
    boxes, points = decode_values(values, anchor, (0.1, 0.2))
    np.testing.assert_allclose(boxes[0], box, atol=1e-2)
    np.testing.assert_allclose(points[0], points_in(box), atol=1e-2)


def test_the_encoding_is_that_of_the_paper() -> None:
    values = encode_values([[10, 20, 30, 60]], np.full((1, 5, 2), 25.0), [[18, 40, 20]], (0.1, 0.2))[0]
    expected = [1.0, 0.0, 0.0, math.log(2) / 0.2, *[3.5, -7.5] * 5]
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_unknown_points_stay_unknown_and_leave_the_box_alone() -> None:
    values = encode_values([[10, 20, 30, 60]], np.full((1, 5, 2), np.nan), [[18, 40, 20]], (0.1, 0.2))[0]
    assert np.isfinite(values[:4]).all()
    assert np.isnan(values[4:]).all()


def test_wild_sizes_do_not_overflow() -> None:
    boxes, _ = decode_values(np.full((1, 14), 1e4), [[0, 0, 320]], (0.1, 0.2))
    assert np.isfinite(boxes).all()


def test_faces_come_in_frame_pixels_best_first() -> None:
    outputs = empty_outputs()
    small, large = np.array([8.0, 9, 20, 22]), np.array([5.0, 3, 60, 62])
    put(outputs, LEVELS[0], (0, 1, 2, 1), 1.0, small, points_in(small))
    put(outputs, LEVELS[1], (0, 0, 1, 0), 3.0, large, points_in(large))
    affine = letterbox_affine(128, 64, (64, 32))
    faces = decode(outputs, 0, SPEC, affine, 0.5)
    np.testing.assert_allclose(faces["score"], [1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-1))], rtol=1e-6)
    for face, box in zip(faces, (large, small), strict=True):
        np.testing.assert_allclose(face["box"], box * 2 + 0.5, atol=1e-3)
        np.testing.assert_allclose(face["points"], points_in(box) * 2 + 0.5, atol=1e-3)
    assert np.isnan(faces["age"]).all()
    assert (faces["track"] == -1).all()


@pytest.mark.parametrize("size", [(32, 32), (32, 96), (160, 64)])
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_an_empty_picture_of_any_size_has_no_sure_face(size: tuple[int, int], score: float) -> None:
    faces = decode(empty_outputs(*size), 0, SPEC, SAME, score)
    assert faces.dtype.names is not None
    assert (len(faces) > 0) == (score == 0.0)
    assert (faces["score"] < 0.01).all()


def test_each_picture_of_a_batch_is_read_by_its_index() -> None:
    outputs = empty_outputs(batch=3)
    box = np.array([30.0, 31, 42, 44])
    put(outputs, LEVELS[0], (1, 0, 4, 4), 2.0, box, points_in(box))
    assert [len(decode(outputs, i, SPEC, SAME, 0.5)) for i in range(3)] == [0, 1, 0]
    assert len(decode(outputs, -2, SPEC, SAME, 0.5)) == 1


def test_the_score_is_a_threshold_that_counts_itself() -> None:
    outputs = empty_outputs()
    box = np.array([30.0, 31, 42, 44])
    put(outputs, LEVELS[0], (0, 0, 4, 4), 0.0, box, points_in(box))
    assert len(decode(outputs, 0, SPEC, SAME, 0.5)) == 1
    assert len(decode(outputs, 0, SPEC, SAME, 0.501)) == 0


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("value", range(0, VALUES, 4))
def test_numbers_that_are_not_finite_hide_their_anchor_alone(broken: float, value: int) -> None:
    outputs = empty_outputs()
    good, bad = np.array([30.0, 31, 42, 44]), np.array([8.0, 9, 20, 22])
    put(outputs, LEVELS[0], (0, 0, 4, 4), 2.0, good, points_in(good))
    put(outputs, LEVELS[0], (0, 1, 1, 1), 5.0, bad, points_in(bad))
    outputs["fine"][0, VALUES + value, 1, 1] = broken
    faces = decode(outputs, 0, SPEC, SAME, 0.5)
    np.testing.assert_allclose(faces["box"], good[None], atol=1e-3)


def test_overlapping_faces_are_suppressed_and_their_number_is_capped() -> None:
    outputs = empty_outputs(512, 512)
    rng = np.random.default_rng(3)
    outputs["fine"][0].reshape(5, VALUES, 64, 64)[:, 0] = rng.normal(2, 1, (5, 64, 64))
    faces = decode(outputs, 0, SPEC, SAME, 0.5)
    overlap = box_iou(faces["box"], faces["box"])
    np.fill_diagonal(overlap, 0)
    assert len(faces) == 20
    assert overlap.max() <= 0.4
    assert (np.diff(faces["score"]) <= 0).all()


def test_half_precision_outputs_are_read() -> None:
    outputs = empty_outputs()
    box = np.array([30.0, 31, 42, 44])
    put(outputs, LEVELS[0], (0, 0, 4, 4), 2.0, box, points_in(box))
    half = {name: values.astype(np.float16) for name, values in outputs.items()}
    np.testing.assert_allclose(decode(half, 0, SPEC, SAME, 0.5)["box"], box[None], atol=0.05)


def test_a_model_that_is_no_detector_is_refused() -> None:
    spec = replace(SPEC, task="face", detector=None, heads=(Head("age", "percent", "smile"),))
    with pytest.raises(SpecError, match="is no detector; its task is 'face'"):
        decode({}, 0, spec, SAME, 0.5)


def test_a_missing_output_is_named() -> None:
    outputs = empty_outputs()
    del outputs["coarse"]
    with pytest.raises(ModelError, match="gave no output 'coarse'; it gave fine"):
        decode(outputs, 0, SPEC, SAME, 0.5)


@pytest.mark.parametrize(("shape", "index"), [((1, 74, 8, 8), 0), ((75, 8, 8), 0), ((1, 75, 8, 8), 1)])
def test_a_misshapen_output_is_refused(shape: tuple[int, ...], index: int) -> None:
    outputs = {**empty_outputs(), "fine": np.zeros(shape, np.float32)}
    with pytest.raises(ModelError, match=r"output 'fine' .* expected \(batch > \d, 75, rows, columns\)"):
        decode(outputs, index, SPEC, SAME, 0.5)
