"""Training pictures as the runtime shows them: at its scale, padded as it pads, with their labels in place."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.preprocess import letterbox
from vultus.spec import InputSpec
from vultus_models.detector.deployed import SPREAD, as_deployed, padded
from vultus_models.detector.labels import Labels
from vultus_models.detector.mosaic import Draw
from vultus_models.detector.network import spec

INPUT = spec({}).input
NO_FACE = Labels(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0, bool))


def drawer(width: int, height: int, box: tuple[int, int, int, int] | None = None) -> Draw:
    """Draw a grey picture of this size, its face a white box."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    if box is None:
        return lambda rng: (pixels, NO_FACE)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = 255
    boxes = np.array([box], np.float64) - 0.5
    points = np.tile(boxes[0, :2] + 5, (1, 5, 1))
    return lambda rng: (pixels, Labels(boxes, points, np.ones(1, bool)))


@given(st.integers(0, 10_000), st.integers(1, 700), st.integers(1, 700), st.sampled_from([96, 256, 416]))
@settings(max_examples=60, deadline=None)
def test_any_picture_fits_the_square(seed: int, width: int, height: int, side: int) -> None:
    canvas = as_deployed(np.random.default_rng(seed), drawer(width, height), side, INPUT)
    tall, wide = canvas.pixels.shape[:2]
    assert 1 < wide <= side
    assert 1 < tall <= side
    assert padded(canvas.pixels, side, INPUT).shape == (side, side, 3)


@pytest.mark.parametrize(("width", "height"), [(150, 150), (120, 180), (200, 90)])
def test_a_picture_that_fits_is_shown_whole_at_about_the_runtimes_scale(width: int, height: int) -> None:
    image, affine = letterbox(np.zeros((height, width, 3), np.uint8), INPUT)
    assert image.shape[1] == 3
    for seed in range(20):
        canvas = as_deployed(np.random.default_rng(seed), drawer(width, height), 640, INPUT)
        scales = np.array(canvas.pixels.shape[1::-1]) / (width, height)
        assert abs(np.log(scales / affine[0, 0])).max() < SPREAD + 0.03
        assert (canvas.pixels == 60).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_face_keeps_its_box_and_its_points(seed: int) -> None:
    canvas = as_deployed(np.random.default_rng(seed), drawer(180, 140, (60, 40, 110, 100)), 640, INPUT)
    assert canvas.labels.sure.tolist() == [True]
    left, top, right, bottom = np.round(canvas.labels.boxes[0]).astype(int)
    assert canvas.pixels[top + 3 : bottom - 2, left + 3 : right - 2].min() > 200
    assert canvas.pixels[:, : max(0, left - 3)].max(initial=0) < 100
    known = np.isfinite(canvas.labels.points).all(axis=-1)
    assert (canvas.labels.points[known] >= canvas.labels.boxes[0, :2] - 1).all()


@pytest.mark.parametrize(
    ("channels", "mean", "expected"),
    [("BGR", (128.0, 128.0, 128.0), [128] * 3), ("RGB", (10.0, 20.0, 30.4), [30, 20, 10])],
)
def test_the_rest_of_the_square_is_what_the_network_takes_for_nothing(
    channels: Literal["BGR", "RGB"], mean: tuple[float, float, float], expected: list[int]
) -> None:
    bare = InputSpec("image", 640, 480, channels, mean, (1.0, 1.0, 1.0), multiple=32)
    whole = padded(np.full((5, 7, 3), 200, np.uint8), 12, bare)
    assert (whole[:5, :7] == 200).all()
    assert (whole[5:] == expected).all()
    assert (whole[:, 7:] == expected).all()


def test_the_same_seed_shows_the_same_picture() -> None:
    draw = drawer(640, 360, (300, 100, 360, 170))
    one, two = (as_deployed(np.random.default_rng(4), draw, 256, INPUT) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.labels.boxes, two.labels.boxes)
