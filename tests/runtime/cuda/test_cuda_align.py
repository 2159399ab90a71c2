"""The device's alignment, its kernel run on the host, against the host's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligning import CROP, SPEC, aligned, face_points
from shim_driver import ShimDriver, kernels_on, tensor_of
from vultus.cuda.faces import Aligner
from vultus.errors import ModelError
from vultus.geometry import apply_affine, crop_affines


@given(st.integers(0, 2**32 - 1), st.sampled_from([(640, 480), (3840, 2160), (16000, 12000)]))
@settings(max_examples=60, deadline=None)
def test_alignment_is_that_of_the_host(seed: int, frame: tuple[int, int]) -> None:
    points = face_points(40, seed, frame)
    expected = crop_affines(points, CROP)
    found = aligned(points)
    moved = np.abs(apply_affine(found, points) - apply_affine(expected, points))
    # What a shift of single precision can hold, for a crop's pixels that lie so far from the frame's corner.
    resolution = np.spacing(np.abs(expected[:, :, 2]).max(axis=1).astype(np.float32))
    assert (moved.max(axis=(1, 2)) <= 2 * resolution + 2e-5).all()
    np.testing.assert_allclose(
        found[:, :, :2], expected[:, :, :2], rtol=0, atol=2e-6 * np.abs(expected[:, :, :2]).max()
    )


def test_faces_of_a_4k_frame_are_aligned_within_the_stated_tolerance() -> None:
    points = face_points(400, 1)
    points = points[np.ptp(points, axis=(1, 2)) > 0]
    expected = crop_affines(points, CROP)
    large = np.hypot(expected[:, 0, 0], expected[:, 1, 0]) < 4  # faces from 28 pixels on
    moved = np.abs(apply_affine(aligned(points), points) - apply_affine(expected, points))
    assert moved[large].max() <= 2e-3


@pytest.mark.parametrize("spot", [0.0, 1234.5, 3839.0])
def test_points_in_one_place_map_by_scale_one(spot: float) -> None:
    points = np.full((1, 5, 2), spot, np.float32)
    np.testing.assert_allclose(aligned(points), crop_affines(points, CROP), atol=1e-3)


@pytest.mark.parametrize(
    ("start", "capacity", "written"), [(0, 4, 4), (8, 4, 2), (10, 4, 0), (64, 4, 0), (0, 64, 10)]
)
def test_only_faces_that_are_there_are_aligned(start: int, capacity: int, written: int) -> None:
    points = face_points(10, 2)
    found = aligned(points, start, capacity)
    np.testing.assert_array_equal(found[:written], aligned(points)[start : start + written])
    assert (found[written:] == -1).all()


def test_affines_of_another_shape_are_refused() -> None:
    driver = ShimDriver()
    aligner = Aligner(driver, kernels_on(driver), SPEC, 8)
    some = tensor_of(np.zeros((4, 2, 3), np.float32))
    with pytest.raises(ModelError, match=r"shape \(4, 2, 3\); expected \(8, 2, 3\)"):
        aligner.into(some, some, 0, some, driver.stream())
