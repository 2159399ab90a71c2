"""Host resampling: what it returns is where the pixels really went."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halving import halved, halvings_at
from vultus.geometry import apply_affine, similarity_from_points, template_points
from vultus.preprocess import bgr_from_frame, crops, input_size, letterbox
from vultus.spec import InputSpec
from vultus.types import Frame

DETECTOR = InputSpec("image", 640, 480, multiple=32)
FIXED = InputSpec("image", 320, 240, enlarge=1.0)
CROP = InputSpec("image", 112, 112)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (31, 33), (480, 640), (1080, 1920), (10, 3000)])
def test_a_letterbox_shows_the_whole_picture_and_pads_with_zero(size: tuple[int, int]) -> None:
    tensor, affine = letterbox(noise(*size), DETECTOR)
    width, height = input_size(size[1], size[0], DETECTOR)
    assert tensor.shape == (1, 3, height, width)
    assert tensor.dtype == np.float32
    right, bottom = np.round(apply_affine(affine, [size[1] - 0.5, size[0] - 0.5]) + 0.5).astype(int)
    assert (tensor[0, :, bottom:, :] == 0).all()
    assert (tensor[0, :, :, right:] == 0).all()
    assert np.abs(tensor).max() <= 1


def test_a_fixed_input_never_changes_its_size() -> None:
    tensor, affine = letterbox(noise(100, 100), FIXED)
    assert tensor.shape == (1, 3, 240, 320)
    np.testing.assert_allclose(affine, [[1, 0, 0], [0, 1, 0]])


def test_a_bright_dot_lands_where_the_affine_says() -> None:
    picture = np.zeros((400, 600, 3), np.uint8)
    picture[100:104, 200:204] = 255
    tensor, affine = letterbox(picture, DETECTOR)
    weights = tensor[0, 0] + 1
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]]
    inside = weights[:400] > 0
    inside &= rows[:400] < 300
    centre = [
        float((grid[:400] * weights[:400] * inside).sum() / (weights[:400] * inside).sum())
        for grid in (columns, rows)
    ]
    np.testing.assert_allclose(centre, apply_affine(affine, [201.5, 101.5]), atol=0.6)


def test_the_order_of_channels_and_the_normalisation_follow_the_spec() -> None:
    picture = np.full((32, 32, 3), (10, 20, 30), np.uint8)
    spec = InputSpec("image", 32, 32, channels="RGB", mean=(1, 2, 3), scale=(1.0, 0.5, 2.0))
    tensor, _ = letterbox(picture, spec)
    assert tensor[0, :, 5, 5].tolist() == [29.0, 9.0, 14.0]


def test_crops_equal_cv2_where_faces_are_small() -> None:
    picture = noise(200, 300)
    affine = np.array([[0.9, -0.2, 5.0], [0.2, 0.9, -8.0]])
    expected = cv2.warpAffine(picture, affine, (112, 112), borderValue=(128, 128, 128))
    np.testing.assert_array_equal(
        crops(picture, affine[None], CROP)[0] * 128 + 128, expected.transpose(2, 0, 1)
    )


def test_a_large_face_is_averaged_not_skipped_over() -> None:
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::2] = 255  # a plain bilinear sample every 8 pixels would see one colour alone
    affine = np.array([[1 / 8, 0, 0.5 / 8 - 0.5], [0, 1 / 8, 0.5 / 8 - 0.5]])
    crop = crops(stripes, affine[None], CROP)[0]
    assert np.abs(crop).max() < 0.05


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0.02, 2),
    st.floats(-3.2, 3.2),
    st.tuples(st.floats(-200, 600), st.floats(-200, 600)),
)
def test_a_crop_is_that_of_the_whole_halved_picture(
    width: int, height: int, scale: float, turn: float, centre: tuple[float, float]
) -> None:
    picture = noise(height, width)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    affine = np.hstack([linear, (np.full(2, 55.5) - linear @ centre)[:, None]])
    times = halvings_at(scale)
    step, wide = 2.0**times, affine.copy()
    wide[:, 2] += linear @ np.full(2, 0.5 * step - 0.5)
    wide[:, :2] *= step
    whole = cv2.warpAffine(
        halved(picture, times).astype(np.uint8), wide, (112, 112), borderValue=(128, 128, 128)
    )
    levels = crops(picture, affine[None], CROP)[0] * 128 + 128
    # OpenCV's places are exact to float32, or to a 32nd of a pixel, whichever window they are counted from.
    assert np.abs(levels - whole.transpose(2, 0, 1)).max() <= (8 if cv2.__version__ < "5" else 1)


@pytest.mark.parametrize("scale", [0.11, 0.3, 0.5, 1.0, 3.0])
def test_a_crop_shows_the_face_at_the_template(scale: float) -> None:
    points = template_points(112) / scale + 20
    side = int(112 / scale) + 40
    picture = np.zeros((side, side, 3), np.uint8)
    radius = max(2, round(3 / scale))
    for x, y in np.round(points).astype(int):
        cv2.circle(picture, (int(x), int(y)), radius, (255, 255, 255), -1)
    affine = similarity_from_points(points[None], template_points(112))
    crop = crops(picture, affine, CROP)[0, 0]
    for x, y in np.round(template_points(112)).astype(int):
        assert crop[y, x] > 0.7


def test_outside_the_frame_is_the_mean_whatever_the_order_of_channels() -> None:
    far = np.array([[[1.0, 0.0, 500.0], [0.0, 1.0, 500.0]]])
    orders: tuple[Literal["BGR", "RGB"], ...] = ("BGR", "RGB")
    for channels in orders:
        spec = InputSpec("image", 8, 8, channels=channels, mean=(10, 20, 30))
        assert (crops(noise(16, 16), far, spec) == 0).all()


def test_no_faces_give_an_empty_batch() -> None:
    assert crops(noise(10, 10), np.zeros((0, 2, 3)), CROP).shape == (0, 3, 112, 112)


def test_every_pixel_format_becomes_the_same_picture() -> None:
    grey = np.random.default_rng(2).integers(40, 200, (8, 12), np.uint8)
    bgr = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    i420 = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8)
    nv12 = i420.copy()
    nv12[8:] = np.stack([i420[8:10].ravel(), i420[10:].ravel()], -1).reshape(4, 12)
    frames = [Frame(bgr), Frame(bgr[..., ::-1].copy(), "RGB"), Frame(grey, "GRAY"), Frame(nv12, "NV12")]
    for frame in frames:
        assert (frame.width, frame.height) == (12, 8)
        np.testing.assert_allclose(bgr_from_frame(frame).astype(int), bgr.astype(int), atol=2)
