"""CenterFace's maps to faces: the published arithmetic, half a pixel, and maps that are odd or broken."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.decode.centerface import decode, map_shapes
from vultus.errors import ModelError, SpecError
from vultus.geometry import box_iou, letterbox_affine
from vultus.spec import AnchorLevel, DetectorSpec, Head, InputSpec, ModelSpec

LEVELS = tuple(AnchorLevel(name, 4) for name in ("heat", "size", "shift", "marks"))
SPEC = ModelSpec(
    "test-centerface",
    "1",
    "detector",
    InputSpec("input", 96, 64, channels="RGB", mean=(0, 0, 0), scale=(1, 1, 1), multiple=32),
    DetectorSpec("centerface", LEVELS, max_faces=20),
)
SAME = np.array([[1.0, 0, 0], [0, 1, 0]])
SHARES = np.array([[0.3, 0.35], [0.7, 0.3], [0.5, 0.55], [0.35, 0.8], [0.65, 0.75]])
BOX = (24.0, 10.0, 20.0, 30.0)
Outputs = dict[str, np.ndarray]


def empty_outputs(width: int = 96, height: int = 64, batch: int = 1) -> Outputs:
    """Maps in which no cell holds a face."""
    shapes = map_shapes(SPEC, batch, height, width)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def put(
    outputs: Outputs,
    cell: tuple[int, int],
    box: tuple[float, ...] = BOX,
    score: float = 0.9,
    picture: int = 0,
) -> None:
    """Write a face at (row, column); box as x, y, w, h in pixels counted from their corners."""
    row, column = cell
    x, y, w, h = box
    outputs["heat"][picture, 0, row, column] = score
    outputs["size"][picture, :, row, column] = [math.log(h / 4), math.log(w / 4)]
    outputs["shift"][picture, :, row, column] = [(y + h / 2) / 4 - row - 0.5, (x + w / 2) / 4 - column - 0.5]
    outputs["marks"][picture, :, row, column] = SHARES[:, ::-1].ravel()


def test_a_face_comes_in_frame_pixels_with_half_a_pixel_taken_off() -> None:
    outputs = empty_outputs()
    put(outputs, (6, 8), score=0.72)
    (face,) = decode(outputs, 0, SPEC, SAME, 0.5)
    np.testing.assert_allclose(face["box"], [23.5, 9.5, 43.5, 39.5], atol=1e-4)
    np.testing.assert_allclose(face["points"], SHARES * [20, 30] + [23.5, 9.5], atol=1e-4)
    assert face["score"] == pytest.approx(0.72)
    assert np.isnan(face["age"])
    assert face["track"] == -1


def test_the_affine_is_inverted() -> None:
    outputs = empty_outputs()
    put(outputs, (6, 8))
    (face,) = decode(outputs, 0, SPEC, letterbox_affine(192, 128, (96, 64)), 0.5)
    np.testing.assert_allclose(face["box"], np.array([24, 10, 44, 40]) * 2 - 0.5, atol=1e-4)


@given(
    st.floats(-40, 130),
    st.floats(-40, 130),
    st.floats(0.5, 900),
    st.floats(0.5, 900),
    st.integers(0, 15),
    st.integers(0, 23),
)
@settings(max_examples=100, deadline=None)
def test_any_box_at_any_cell_is_read(x: float, y: float, w: float, h: float, row: int, column: int) -> None:
    outputs = empty_outputs()
    put(outputs, (row, column), (x, y, w, h))
    (face,) = decode(outputs, 0, SPEC, SAME, 0.5)
    np.testing.assert_allclose(face["box"], np.array([x, y, x + w, y + h]) - 0.5, atol=3e-3)
    np.testing.assert_allclose(face["points"], SHARES * [w, h] + [x - 0.5, y - 0.5], atol=3e-3)


@pytest.mark.parametrize(("width", "height"), [(64, 96), (192, 32), (32, 192)])
def test_maps_of_any_size_are_read(width: int, height: int) -> None:
    outputs = empty_outputs(width, height)
    put(outputs, (height // 4 - 1, width // 4 - 1))
    assert len(decode(outputs, 0, SPEC, SAME, 0.5)) == 1


def test_the_score_is_a_threshold_that_counts_itself() -> None:
    outputs = empty_outputs()
    put(outputs, (6, 8), score=0.5)
    assert len(decode(outputs, 0, SPEC, SAME, 0.5)) == 1
    assert len(decode(outputs, 0, SPEC, SAME, 0.501)) == 0


def test_each_picture_of_a_batch_is_read_by_its_index() -> None:
    outputs = empty_outputs(batch=3)
    put(outputs, (6, 8), picture=1)
    assert [len(decode(outputs, i, SPEC, SAME, 0.5)) for i in (0, 1, 2, -2)] == [0, 1, 0, 1]


def test_faces_are_sorted_suppressed_and_capped() -> None:
    outputs = empty_outputs(512, 512)
    outputs["heat"][:] = np.random.default_rng(3).uniform(0.6, 1, outputs["heat"].shape)
    outputs["size"][:] = 0.7
    faces = decode(outputs, 0, SPEC, SAME, 0.5)
    overlap = box_iou(faces["box"], faces["box"])
    np.fill_diagonal(overlap, 0)
    assert len(faces) == 20
    assert overlap.max() <= 0.4
    assert (np.diff(faces["score"]) <= 0).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["heat", "size", "shift", "marks"])
def test_numbers_that_are_not_finite_hide_their_cell_alone(broken: float, part: str) -> None:
    outputs = empty_outputs()
    put(outputs, (6, 8), score=0.7)
    put(outputs, (3, 20), (80, 10, 8, 9))
    outputs[part][0, 0, 3, 20] = broken
    faces = decode(outputs, 0, SPEC, SAME, 0.5)
    np.testing.assert_allclose(faces["box"], [[23.5, 9.5, 43.5, 39.5]], atol=1e-4)


def test_wild_sizes_do_not_overflow() -> None:
    outputs = empty_outputs()
    put(outputs, (6, 8))
    outputs["size"][0, :, 6, 8] = 1e4
    assert np.isfinite(decode(outputs, 0, SPEC, SAME, 0.5)["box"]).all()


def test_half_precision_outputs_are_read() -> None:
    outputs = empty_outputs()
    put(outputs, (6, 8))
    half = {name: values.astype(np.float16) for name, values in outputs.items()}
    np.testing.assert_allclose(decode(half, 0, SPEC, SAME, 0.5)["box"], [[23.5, 9.5, 43.5, 39.5]], atol=0.05)


def test_an_empty_picture_has_no_face() -> None:
    assert len(decode(empty_outputs(), 0, SPEC, SAME, 0.02)) == 0


@pytest.mark.parametrize("levels", [(), LEVELS[:3], (*LEVELS[:3], AnchorLevel("marks", 8))])
def test_levels_must_be_four_of_one_stride(levels: tuple[AnchorLevel, ...]) -> None:
    spec = replace(SPEC, detector=DetectorSpec("centerface", levels))
    with pytest.raises(
        SpecError, match="'centerface' reads 4 maps a stride in the order heatmap, scale, offset"
    ):
        decode(empty_outputs(), 0, spec, SAME, 0.5)


def test_a_model_that_is_no_detector_is_refused() -> None:
    spec = replace(SPEC, task="face", detector=None, heads=(Head("smile", "percent", "smile"),))
    with pytest.raises(SpecError, match="is no detector; its task is 'face'"):
        decode({}, 0, spec, SAME, 0.5)


def test_a_missing_map_is_named() -> None:
    outputs = empty_outputs()
    del outputs["shift"]
    with pytest.raises(ModelError, match="gave no output 'shift'; it gave heat, size, marks"):
        decode(outputs, 0, SPEC, SAME, 0.5)


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("heat", (1, 2, 16, 24), "1, rows, columns"),
        ("heat", (1, 16, 24), "1, rows, columns"),
        ("size", (1, 2, 8, 24), "2, 16, 24"),
        ("marks", (0, 10, 16, 24), "10, 16, 24"),
    ],
)
def test_a_misshapen_map_is_refused(name: str, shape: tuple[int, ...], wanted: str) -> None:
    outputs = {**empty_outputs(), name: np.zeros(shape, np.float32)}
    with pytest.raises(ModelError, match=rf"output '{name}' .* expected \(batch > 0, {wanted}\)"):
        decode(outputs, 0, SPEC, SAME, 0.5)
