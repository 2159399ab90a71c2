"""Geometry: fits, inverses and boxes hold for any numbers, degenerate ones included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.geometry import (
    FACE_TEMPLATE,
    POINT_STEPS,
    apply_affine,
    box_iou,
    boxes_around,
    crop_affines,
    fit_size,
    invert_affine,
    letterbox_affine,
    resized_shape,
    rotation_of,
    similarity_from_points,
    template_points,
)

angles = st.floats(-180, 180)
scales = st.floats(0.05, 20)
shifts = st.floats(-2000, 2000)


def similarity(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    a, b = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    return np.array([[a, -b, x], [b, a, y]])


@given(angles, scales, shifts, shifts)
def test_a_similarity_is_found_again_from_its_points(angle: float, scale: float, x: float, y: float) -> None:
    truth = similarity(angle, scale, x, y)
    source = template_points(112)
    found = similarity_from_points(source[None], apply_affine(truth, source))
    np.testing.assert_allclose(found[0], truth, rtol=1e-6, atol=1e-6)
    turned = (rotation_of(found)[0] - angle + 180) % 360 - 180
    assert abs(turned) < 1e-4


@given(angles, scales, shifts, shifts)
def test_an_inverse_undoes_its_affine(angle: float, scale: float, x: float, y: float) -> None:
    affine = similarity(angle, scale, x, y)
    points = np.array([[0.0, 0.0], [3.5, -7.25], [1000.0, 2.0]])
    there_and_back = apply_affine(invert_affine(affine), apply_affine(affine, points))
    np.testing.assert_allclose(there_and_back, points, atol=1e-6)


def test_a_fit_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(5)
    source, target = rng.normal(size=(1, 5, 2)), rng.normal(size=(5, 2))
    best = similarity_from_points(source, target)[0]

    def error(matrix: np.ndarray) -> float:
        return float(np.square(apply_affine(matrix, source[0]) - target).sum())

    for _ in range(200):
        a, b, x, y = rng.normal(0, 1e-3, 4)
        assert error(best) <= error(best + np.array([[a, -b, x], [b, a, y]]))


@given(scales, angles, shifts, shifts, st.integers(0, 2**32 - 1))
def test_noise_of_less_than_half_a_step_leaves_a_crop_as_it_is(
    scale: float, angle: float, x: float, y: float, seed: int
) -> None:
    points = apply_affine(similarity(angle, scale, x, y), template_points(112))
    steady = np.rint(points * POINT_STEPS) / POINT_STEPS
    noise = np.random.default_rng(seed).uniform(-0.49, 0.49, points.shape) / POINT_STEPS
    found = crop_affines(np.stack([points, steady, steady + noise]), 112)
    np.testing.assert_array_equal(found[1:], found[:1].repeat(2, axis=0))
    off = apply_affine(found[0], points) - apply_affine(
        similarity_from_points(points[None], template_points(112))[0], points
    )
    assert np.abs(off).max() * scale <= 2 / POINT_STEPS


SQUARE = np.array([[[1.0, 1], [1, -1], [-1, -1], [-1, 1], [0, 0]]])


def test_a_fit_of_scale_zero_stays_invertible() -> None:
    reflected = SQUARE[0] * np.array([1.0, -1.0])
    assert np.isfinite(invert_affine(similarity_from_points(SQUARE, reflected))).all()


@pytest.mark.parametrize("points", [np.zeros((1, 5, 2)), np.full((1, 5, 2), 7.0)])
def test_points_in_one_place_map_by_scale_one(points: np.ndarray) -> None:
    matrix = similarity_from_points(points, template_points(112))[0]
    np.testing.assert_allclose(matrix[:, :2], np.eye(2))
    assert np.isfinite(matrix).all()


def test_no_faces_give_no_matrices() -> None:
    assert similarity_from_points(np.zeros((0, 5, 2)), template_points(112)).shape == (0, 2, 3)


def test_many_affines_map_their_own_points() -> None:
    affines = np.stack([similarity(30, 2, 1, 2), similarity(-60, 0.5, 3, 4)])
    points = np.stack([FACE_TEMPLATE, FACE_TEMPLATE + 1])
    mapped = apply_affine(affines, points)
    for i in range(2):
        np.testing.assert_allclose(mapped[i], apply_affine(affines[i], points[i]))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (640, 480)),
        ((480, 640), (480, 640)),
        ((1920, 1080), (736, 416)),
        ((3840, 2160), (736, 416)),
        ((48, 48), (96, 96)),
        ((89, 109), (192, 224)),
        ((1, 2), (32, 32)),
        ((20000, 10), (1120, 32)),
        ((10, 20000), (32, 1120)),
    ],
)
def test_the_input_size_suits_the_picture(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit_size(*size, (640, 480), 32, 2.0) == expected


@given(st.integers(1, 20000), st.integers(1, 20000))
def test_a_resized_picture_fits_and_keeps_its_corners(width: int, height: int) -> None:
    resized = resized_shape(width, height, 640, 480, 2.0)
    assert 1 <= resized[0] <= 640
    assert 1 <= resized[1] <= 480
    affine = letterbox_affine(width, height, resized)
    corners = apply_affine(affine, [[-0.5, -0.5], [width - 0.5, height - 0.5]])
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [resized[0] - 0.5, resized[1] - 0.5]], atol=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0),
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),
        ([0, 0, 1, 1], [1, 1, 2, 2], 0.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),
        ([2, 2, 1, 1], [0, 0, 3, 3], 0.0),
    ],
)
def test_intersection_over_union(first: list[float], second: list[float], expected: float) -> None:
    assert box_iou([first], [second])[0, 0] == pytest.approx(expected)


def test_intersection_over_union_of_none() -> None:
    assert box_iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


def test_boxes_lie_around_their_points() -> None:
    assert boxes_around([[[1, 5], [3, 2]]]).tolist() == [[1, 2, 3, 5]]
