"""Calibration errors against hand-made cases and against counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus_export.metrics.calibration import (
    BINS,
    bin_gaps,
    binary_top,
    calibration_error,
    overconfidence,
    top_class,
    within_spread,
)

STATED = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("confidence", "right", "error", "over"),
    [
        ([1.0, 1.0, 1.0], [True, True, True], 0.0, 0.0),
        ([0.75, 0.75, 0.75, 0.75], [True, True, True, False], 0.0, 0.0),
        ([1.0, 1.0], [False, False], 1.0, 1.0),
        ([0.0, 0.0], [False, False], 0.0, 0.0),
        ([0.61, 0.65], [True, True], 0.37, -0.37),
        ([0.61, 0.65], [True, False], 0.13, 0.13),
        ([0.9, 0.5, 0.5], [False, True, True], 0.9 / 3 + 1 / 3, -0.1 / 3),
    ],
    ids=["perfect", "as said", "all wrong", "sure of no", "one bin", "one bin, mixed", "gaps do not cancel"],
)
def test_by_hand(confidence: list[float], right: list[bool], error: float, over: float) -> None:
    assert calibration_error(confidence, right) == pytest.approx(error)
    assert overconfidence(confidence, right) == pytest.approx(over)


def test_of_nothing_there_is_no_figure() -> None:
    assert math.isnan(calibration_error([], []))
    assert math.isnan(overconfidence([], []))
    assert math.isnan(within_spread([], [], [], 1)[0])
    assert [part.tolist() for part in top_class(np.empty((0, 3)), [])] == [[], []]


@pytest.mark.parametrize("place", range(BINS + 1))
def test_an_edge_belongs_to_the_bin_below_and_nought_to_the_lowest(place: int) -> None:
    gaps = bin_gaps([place / BINS], [place == 0])
    assert np.flatnonzero(gaps).tolist() == [max(place - 1, 0)]


@given(STATED)
def test_the_error_equals_counting_bin_by_bin(pairs: list[tuple[int, bool]]) -> None:
    confidence, right = [step / 30 for step, _ in pairs], [true for _, true in pairs]
    bins: dict[int, list[int]] = {}
    for index, (step, _) in enumerate(pairs):
        bins.setdefault(max(-(-step // 2) - 1, 0), []).append(index)
    gaps = [
        len(at) * abs(np.mean([confidence[i] for i in at]) - np.mean([right[i] for i in at]))
        for at in bins.values()
    ]
    assert calibration_error(confidence, right) == pytest.approx(sum(gaps) / len(pairs))
    assert abs(overconfidence(confidence, right)) <= calibration_error(confidence, right) + 1e-12


@given(STATED, STATED)
def test_gaps_of_parts_add_up(one: list[tuple[int, bool]], other: list[tuple[int, bool]]) -> None:
    parts = [bin_gaps([step / 30 for step, _ in part], [true for _, true in part]) for part in (one, other)]
    whole = bin_gaps([step / 30 for step, _ in one + other], [true for _, true in one + other])
    assert parts[0] + parts[1] == pytest.approx(whole)


def test_the_likelier_answer_counts() -> None:
    confidence, right = binary_top([0.9, 0.2, 0.5, 0.4], [1, 0, 1, 1])
    assert confidence == pytest.approx([0.9, 0.8, 0.5, 0.6])
    assert right.tolist() == [True, True, True, False]
    confidence, right = top_class([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], [1, 2])
    assert (confidence.tolist(), right.tolist()) == ([0.7, 0.5], [True, False])


def test_ages_within_their_spread_are_counted_against_the_normal_law() -> None:
    ages = ([30, 30, 30, 30], [5, 5, 5, 2], [35, 36, 40.1, 30])
    assert within_spread(*ages, 1) == pytest.approx((0.5, 0.6827), abs=1e-4)
    assert within_spread(*ages, 2) == pytest.approx((0.75, 0.9545), abs=1e-4)
