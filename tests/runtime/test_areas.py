"""Means over areas: by the definition, of crops as of whole pictures, and past the range of 32-bit sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.areas import Areas
from vultus.spec import InputSpec

RGB = InputSpec("x", 8, 8, "RGB", (100.0, 110.0, 120.0), (0.5, 0.25, 0.125), 1)
BGR = InputSpec("x", 8, 8, "BGR", (100.0, 110.0, 120.0), (0.5, 0.25, 0.125), 1)


def by_definition(bgr: np.ndarray, spec: InputSpec, width: int, height: int) -> np.ndarray:
    """Each output pixel from the source pixels that it covers, one after the other."""
    out = np.empty((3, height, width))
    tall, wide = bgr.shape[:2]
    for row in range(height):
        for column in range(width):
            top, bottom = row * tall // height, math.ceil((row + 1) * tall / height)
            left, right = column * wide // width, math.ceil((column + 1) * wide / width)
            mean = bgr[top:bottom, left:right].reshape(-1, 3).mean(axis=0)
            mean = mean[::-1] if spec.channels == "RGB" else mean
            out[:, row, column] = (mean - spec.mean) * spec.scale
    return out


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    source=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    spec=st.sampled_from([RGB, BGR]),
)
def test_levels_are_means(
    seed: int, source: tuple[int, int], target: tuple[int, int], spec: InputSpec
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (*source, 3)).astype(np.uint8)
    got = Areas(picture, spec).level(*target)
    assert got.shape == (1, 3, target[1], target[0])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[0], by_definition(picture, spec, *target), rtol=1e-5, atol=1e-4)


def test_crops_are_levels_of_what_they_cut_out() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    boxes = np.array([[0, 0, 70, 50], [3, 5, 4, 6], [10, 20, 40, 23], [69, 0, 70, 50]])
    got = Areas(picture, RGB).crops(boxes, 24, 12)
    for box, crop in zip(boxes, got, strict=True):
        cut = np.ascontiguousarray(picture[box[1] : box[3], box[0] : box[2]])
        np.testing.assert_allclose(crop, by_definition(cut, RGB, 24, 12), rtol=1e-5, atol=1e-4)


def test_no_crops_give_an_empty_batch() -> None:
    areas = Areas(np.zeros((5, 5, 3), np.uint8), RGB)
    assert areas.crops(np.empty((0, 4), np.int64), 24, 24).shape == (0, 3, 24, 24)


@pytest.mark.parametrize("value", [255, 254])
def test_sums_past_32_bits_stay_exact(value: int) -> None:
    picture = np.full((3000, 3000, 3), value, np.uint8)
    got = Areas(picture, RGB).level(20, 20)
    expected = (value - np.array(RGB.mean)) * RGB.scale
    np.testing.assert_allclose(got[0], np.broadcast_to(expected[:, None, None], (3, 20, 20)), rtol=1e-6)
