"""YuNet's outputs to faces: the arithmetic of its authors, half a pixel, and outputs that are odd or broken."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.decode.yunet import PARTS, decode, map_shapes
from vultus.errors import ModelError, SpecError
from vultus.geometry import box_iou, letterbox_affine
from vultus.spec import AnchorLevel, DetectorSpec, Head, InputSpec, ModelSpec

STRIDES = (8, 32)
LEVELS = tuple(AnchorLevel(f"{part}_{stride}", stride) for stride in STRIDES for part in PARTS)
SPEC = ModelSpec(
    "test-yunet",
    "1",
    "detector",
    InputSpec("input", 96, 64, mean=(0, 0, 0), scale=(1, 1, 1), multiple=32),
    DetectorSpec("yunet", LEVELS, max_faces=20),
)
SAME = np.array([[1.0, 0, 0], [0, 1, 0]])
Outputs = dict[str, np.ndarray]


def empty_outputs(width: int = 96, height: int = 64, batch: int = 1) -> Outputs:
    """Outputs in which no cell holds a face."""
    shapes = map_shapes(SPEC, batch, height, width)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def put(
    outputs: Outputs,
    cell: tuple[int, int, int],
    box: tuple[float, ...],
    points: np.ndarray,
    sure: tuple[float, float] = (0.9, 0.9),
    columns: int = 12,
    picture: int = 0,
) -> None:
    """Write a face at (stride, row, column); box as x, y, w, h and points in pixels counted from their corners."""
    stride, row, column = cell
    at = row * columns + column
    centre = [(box[0] + box[2] / 2) / stride - column, (box[1] + box[3] / 2) / stride - row]
    outputs[f"cls_{stride}"][picture, at] = sure[0]
    outputs[f"obj_{stride}"][picture, at] = sure[1]
    outputs[f"bbox_{stride}"][picture, at] = [*centre, math.log(box[2] / stride), math.log(box[3] / stride)]
    outputs[f"kps_{stride}"][picture, at] = (points / stride - [column, row]).ravel()


POINTS = np.array([[30.0, 20], [40, 21], [35, 28], [31, 34], [39, 35]])
BOX = (24.0, 10.0, 20.0, 30.0)


def test_a_face_comes_in_frame_pixels_with_half_a_pixel_taken_off() -> None:
    outputs = empty_outputs()
    put(outputs, (8, 3, 4), BOX, POINTS, (0.81, 0.64))
    (face,) = decode(outputs, 0, SPEC, SAME, 0.5)
    np.testing.assert_allclose(face["box"], [23.5, 9.5, 43.5, 39.5], atol=1e-4)
    np.testing.assert_allclose(face["points"], POINTS - 0.5, atol=1e-4)
    assert face["score"] == pytest.approx(0.72)
    assert np.isnan(face["age"])
    assert face["track"] == -1


def test_the_affine_is_inverted() -> None:
    outputs = empty_outputs()
    put(outputs, (8, 3, 4), BOX, POINTS)
    (face,) = decode(outputs, 0, SPEC, letterbox_affine(192, 128, (96, 64)), 0.5)
    np.testing.assert_allclose(face["box"], np.array([24, 10, 44, 40]) * 2 - 0.5, atol=1e-4)


@given(
    st.sampled_from(STRIDES),
    st.floats(-40, 130),
    st.floats(-40, 130),
    st.floats(0.5, 400),
    st.floats(0.5, 400),
    st.integers(0, 1),
    st.integers(0, 2),
)
@settings(max_examples=100, deadline=None)
def test_any_box_at_any_cell_is_read(
    stride: int, x: float, y: float, w: float, h: float, row: int, column: int
) -> None:
    outputs = empty_outputs()
    points = np.array([x, y]) + np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.3, 0.8], [0.7, 0.8]]) * [
        w,
        h,
    ]
    put(outputs, (stride, row, column), (x, y, w, h), points, columns=96 // stride)
    (face,) = decode(outputs, 0, SPEC, SAME, 0.5)
    np.testing.assert_allclose(face["box"], np.array([x, y, x + w, y + h]) - 0.5, atol=2e-3)
    np.testing.assert_allclose(face["points"], points - 0.5, atol=2e-3)


@pytest.mark.parametrize(("width", "height"), [(64, 96), (192, 32), (32, 192)])
def test_cells_are_counted_by_the_size_of_the_input(width: int, height: int) -> None:
    outputs = empty_outputs(width, height)
    row, column = height // 8 - 1, width // 8 - 1
    put(outputs, (8, row, column), BOX, POINTS, columns=width // 8)
    (face,) = decode(outputs, 0, SPEC, SAME, 0.5, (width, height))
    np.testing.assert_allclose(face["box"], [23.5, 9.5, 43.5, 39.5], atol=1e-4)


@pytest.mark.parametrize(
    ("sure", "found"),
    [((1.0, 0.25), 1), ((0.25, 1.0), 1), ((1.0, 0.2), 0), ((3.0, 0.25), 1), ((-1.0, -1.0), 0)],
)
def test_the_score_is_the_geometric_mean_of_two_probabilities(sure: tuple[float, float], found: int) -> None:
    outputs = empty_outputs()
    put(outputs, (8, 3, 4), BOX, POINTS, sure)
    faces = decode(outputs, 0, SPEC, SAME, 0.5)
    assert len(faces) == found
    np.testing.assert_allclose(faces["score"], 0.5)


def test_each_picture_of_a_batch_is_read_by_its_index() -> None:
    outputs = empty_outputs(batch=3)
    put(outputs, (32, 1, 1), BOX, POINTS, columns=3, picture=1)
    assert [len(decode(outputs, i, SPEC, SAME, 0.5)) for i in (0, 1, 2, -2)] == [0, 1, 0, 1]


def test_faces_are_sorted_suppressed_and_capped() -> None:
    outputs = empty_outputs(512, 512)
    rng = np.random.default_rng(3)
    for part in ("cls_8", "obj_8"):
        outputs[part][:] = rng.uniform(0.6, 1, outputs[part].shape)
    outputs["bbox_8"][..., 2:] = 0.7
    faces = decode(outputs, 0, SPEC, SAME, 0.5, (512, 512))
    overlap = box_iou(faces["box"], faces["box"])
    np.fill_diagonal(overlap, 0)
    assert len(faces) == 20
    assert overlap.max() <= 0.4
    assert (np.diff(faces["score"]) <= 0).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["cls_8", "obj_8", "bbox_8", "kps_8"])
def test_numbers_that_are_not_finite_hide_their_cell_alone(broken: float, part: str) -> None:
    outputs = empty_outputs()
    put(outputs, (32, 1, 1), BOX, POINTS, (0.7, 0.7), columns=3)
    put(outputs, (8, 1, 10), (80, 10, 8, 9), POINTS)
    outputs[part][0, 22] = broken
    faces = decode(outputs, 0, SPEC, SAME, 0.5)
    np.testing.assert_allclose(faces["box"], [[23.5, 9.5, 43.5, 39.5]], atol=1e-4)


def test_wild_sizes_do_not_overflow() -> None:
    outputs = empty_outputs()
    put(outputs, (8, 3, 4), BOX, POINTS)
    outputs["bbox_8"][0, 40, 2:] = 1e4
    assert np.isfinite(decode(outputs, 0, SPEC, SAME, 0.5)["box"]).all()


def test_half_precision_outputs_are_read() -> None:
    outputs = empty_outputs()
    put(outputs, (8, 3, 4), BOX, POINTS)
    half = {name: values.astype(np.float16) for name, values in outputs.items()}
    np.testing.assert_allclose(decode(half, 0, SPEC, SAME, 0.5)["box"], [[23.5, 9.5, 43.5, 39.5]], atol=0.05)


def test_an_empty_picture_has_no_face() -> None:
    assert len(decode(empty_outputs(), 0, SPEC, SAME, 0.02)) == 0


def with_levels(*levels: AnchorLevel) -> ModelSpec:
    return replace(SPEC, detector=DetectorSpec("yunet", levels))


@pytest.mark.parametrize(
    ("levels", "listed"),
    [
        ((), "none"),
        (LEVELS[:3], "cls_8/8, obj_8/8, bbox_8/8"),
        ((*LEVELS[:3], LEVELS[4]), "cls_8/8, obj_8/8, bbox_8/8, cls_32/32"),
    ],
)
def test_levels_must_be_four_a_stride(levels: tuple[AnchorLevel, ...], listed: str) -> None:
    message = rf"'yunet' reads 4 maps a stride in the order cls, obj, bbox, kps; .* are: {listed}$"
    with pytest.raises(SpecError, match=message):
        decode(empty_outputs(), 0, with_levels(*levels), SAME, 0.5)


def test_a_model_that_is_no_detector_is_refused() -> None:
    spec = replace(SPEC, task="face", detector=None, heads=(Head("smile", "percent", "smile"),))
    with pytest.raises(SpecError, match="is no detector; its task is 'face'"):
        decode({}, 0, spec, SAME, 0.5)


def test_a_missing_output_is_named() -> None:
    outputs = empty_outputs()
    del outputs["obj_32"]
    with pytest.raises(ModelError, match="gave no output 'obj_32'; it gave cls_8, obj_8, bbox_8"):
        decode(outputs, 0, SPEC, SAME, 0.5)


@pytest.mark.parametrize(
    ("shape", "index"), [((1, 95, 4), 0), ((1, 96, 5), 0), ((1, 8, 12, 4), 0), ((1, 96, 4), 1)]
)
def test_a_misshapen_output_is_refused(shape: tuple[int, ...], index: int) -> None:
    outputs = {**empty_outputs(batch=index + 1), "bbox_8": np.zeros(shape, np.float32)}
    with pytest.raises(ModelError, match=r"output 'bbox_8' .* expected \(batch > \d, 96, 4\)"):
        decode(outputs, index, SPEC, SAME, 0.5)
