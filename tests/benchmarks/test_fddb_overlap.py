"""Overlap of rectangles and ellipses: cases worked by hand, a fine raster, and what must hold of any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.fddb_overlap import clipped, overlap_ratios, shared_areas

PICTURE = (400, 300)
CIRCLE = [10.0, 10, 0, 100, 100]
TURNED = [40.0, 20, math.pi / 6, 100, 100]


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, np.float64)


def area_by_raster(box: np.ndarray, ellipse: np.ndarray, cells: int = 1500) -> float:
    """Count the cells of the box whose middle lies in the ellipse, as its equation says."""
    major, minor, angle, x, y = ellipse
    across, down = ((np.arange(cells) + 0.5) / cells * box[2 + axis] + box[axis] for axis in (0, 1))
    dx, dy = across[None] - x, down[:, None] - y
    along = (dx * math.cos(angle) + dy * math.sin(angle)) / major
    beside = (dy * math.cos(angle) - dx * math.sin(angle)) / minor
    return float((along**2 + beside**2 <= 1).mean() * box[2] * box[3])


@pytest.mark.parametrize(
    ("box", "ellipse", "expected"),
    [
        ([90.0, 90, 20, 20], CIRCLE, 100 * math.pi),  # around it
        ([0.0, 0, 400, 300], TURNED, 800 * math.pi),  # far around it
        ([95.0, 95, 10, 10], CIRCLE, 100.0),  # inside of it
        ([100.0, 90, 20, 20], CIRCLE, 50 * math.pi),  # half of it: a side through the centre
        ([100.0, 100, 20, 20], CIRCLE, 25 * math.pi),  # a quarter: a corner on the centre
        ([110.0, 90, 20, 20], CIRCLE, 0.0),  # touching
        ([107.5, 107.5, 20, 20], CIRCLE, 0.0),  # boxes of both overlap, they do not
        ([90.0, 105, 20, 20], CIRCLE, 100 * (math.pi / 3 - math.sqrt(3) / 4)),  # a segment
        ([95.0, 0, 0, 200], CIRCLE, 0.0),  # no width
        ([95.0, 95, 0, 0], CIRCLE, 0.0),
    ],
)
def test_areas_by_hand(box: list[float], ellipse: list[float], expected: float) -> None:
    assert shared_areas(rows(box), rows(ellipse))[0, 0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_areas_are_those_of_a_fine_raster(seed: int) -> None:
    random = np.random.default_rng(seed)
    ellipse = [*random.uniform(8, 40, 2), random.uniform(-4, 4), *random.uniform(90, 110, 2)]
    boxes = np.concatenate([random.uniform(50, 110, (4, 2)), random.uniform(5, 90, (4, 2))], axis=1)
    areas = shared_areas(boxes, rows(ellipse))[:, 0]
    by_raster = [area_by_raster(box, np.array(ellipse)) for box in boxes]
    np.testing.assert_allclose(areas, by_raster, rtol=2e-3, atol=0.5)


def test_the_angle_turns_the_first_axis_towards_the_lower_right() -> None:
    ellipse = rows([40.0, 10, math.pi / 4, 100, 100])
    lower_right, upper_right = [120.0, 120, 10, 10], [120.0, 70, 10, 10]
    areas = shared_areas(rows(lower_right, upper_right), ellipse)[:, 0]
    assert areas[0] > 50
    assert areas[1] == pytest.approx(0, abs=1e-9)


def test_only_what_lies_in_the_picture_counts() -> None:
    # Half the ellipse and half the box hang over the left edge: the other halves overlap as the wholes would.
    ellipse, box = [20.0, 10, 0, 0, 100], [-20.0, 90, 40, 20]
    assert overlap_ratios(rows(box), rows(ellipse), PICTURE)[0, 0] == pytest.approx(math.pi / 4)
    inner = [0.0, 90, 20, 20]
    assert overlap_ratios(rows(inner), rows(ellipse), PICTURE)[0, 0] == pytest.approx(math.pi / 4)
    assert clipped(rows([390.0, 290, 40, 40], [500, 10, 5, 5]), PICTURE).tolist() == [
        [390, 290, 10, 10], [400, 10, 0, 5],
    ]  # fmt: skip


def test_what_lies_outside_whole_overlaps_nothing() -> None:
    outside = rows([20.0, 10, 0, -100, 100])
    assert overlap_ratios(rows([-120.0, 90, 40, 20], [0, 0, 9, 9]), outside, PICTURE).tolist() == [[0], [0]]


@pytest.mark.parametrize(("boxes", "ellipses"), [(0, 3), (2, 0), (0, 0)])
def test_nothing_against_something_is_empty(boxes: int, ellipses: int) -> None:
    shape = overlap_ratios(np.ones((boxes, 4)), np.ones((ellipses, 5)), PICTURE).shape
    assert shape == (boxes, ellipses)


SIDES = st.floats(2, 120)
AT = st.floats(100, 200)
TURN = st.floats(-7, 7)


@settings(max_examples=60, deadline=None)
@given(st.tuples(AT, AT, SIDES, SIDES), st.tuples(SIDES, SIDES, TURN, AT, AT), st.tuples(AT, AT))
def test_a_shift_of_both_changes_nothing(
    box: tuple[float, ...], ellipse: tuple[float, ...], way: tuple[float, float]
) -> None:
    size = (2000, 2000)
    boxes, ellipses = rows([*box]), rows([*ellipse])
    boxes[:, :2] += 400
    ellipses[:, 3:] += 400
    here = overlap_ratios(boxes, ellipses, size)
    boxes[:, :2] += way
    ellipses[:, 3:] += way
    np.testing.assert_allclose(overlap_ratios(boxes, ellipses, size), here, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.tuples(AT, AT, SIDES, SIDES), st.tuples(SIDES, SIDES, TURN, AT, AT))
def test_a_ratio_is_a_share_and_mirrors(box: tuple[float, ...], ellipse: tuple[float, ...]) -> None:
    boxes, ellipses, size = rows([*box]), rows([*ellipse]), (350, 350)
    ratio = overlap_ratios(boxes, ellipses, size)[0, 0]
    assert 0 <= ratio <= 1
    boxes[:, 0] = size[0] - boxes[:, 0] - boxes[:, 2]
    ellipses[:, 2], ellipses[:, 3] = -ellipses[:, 2], size[0] - ellipses[:, 3]
    assert overlap_ratios(boxes, ellipses, size)[0, 0] == pytest.approx(ratio, abs=1e-8)
