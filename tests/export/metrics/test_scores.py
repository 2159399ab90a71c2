"""Classification, regression and landmark metrics against hand-made cases and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus_export.metrics.scores import (
    accuracy,
    balanced_accuracy,
    class_recalls,
    landmark_errors,
    mean_absolute_error,
    pearson,
    ranking_auc,
)

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)
RANKED = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=25)
POINTS = st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=5, max_size=5)


def test_recalls_by_hand() -> None:
    guess, truth = [0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1]
    assert class_recalls(guess, truth, 3).tolist()[:2] == pytest.approx([2 / 3, 2 / 3])
    assert np.isnan(class_recalls(guess, truth, 3)[2])
    assert accuracy(guess, truth) == pytest.approx(4 / 6)
    assert balanced_accuracy([0, 0, 0, 0], [0, 0, 0, 1], 2) == 0.5


@given(PAIRS)
def test_recalls_equal_counting(pairs: list[tuple[int, int]]) -> None:
    guess, truth = [g for g, _ in pairs], [t for _, t in pairs]
    expected = {t: np.mean([g == t for g, u in pairs if u == t]) for t in set(truth)}
    recalls = class_recalls(guess, truth, 4)
    assert {c: recalls[c] for c in expected} == pytest.approx(expected)
    assert balanced_accuracy(guess, truth, 4) == pytest.approx(np.mean(list(expected.values())))
    assert accuracy(guess, truth) == pytest.approx(np.mean([g == t for g, t in pairs]))


@given(RANKED)
def test_auc_equals_the_share_of_ordered_pairs(ranked: list[tuple[int, bool]]) -> None:
    positive = [s for s, p in ranked if p]
    negative = [s for s, p in ranked if not p]
    area = ranking_auc([s for s, _ in ranked], [p for _, p in ranked])
    if not positive or not negative:
        assert np.isnan(area)
        return
    wins = [(a > b) + 0.5 * (a == b) for a in positive for b in negative]
    assert area == pytest.approx(np.mean(wins))


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [([1, 2, 3, 4], [0, 0, 1, 1], 1.0), ([4, 3, 2, 1], [0, 0, 1, 1], 0.0), ([5, 5, 5], [1, 0, 1], 0.5)],
    ids=["apart", "reversed", "all tied"],
)
def test_auc_by_hand(scores: list[float], positive: list[int], expected: float) -> None:
    assert ranking_auc(scores, positive) == expected


def test_pearson_agrees_with_numpy_and_knows_its_limits() -> None:
    rng = np.random.default_rng(3)
    one = rng.normal(size=40)
    two = one + rng.normal(size=40)
    assert pearson(one, two) == pytest.approx(np.corrcoef(one, two)[0, 1])
    assert pearson(one, 3 - 2 * one) == pytest.approx(-1)
    assert np.isnan(pearson(one, np.ones(40)))
    assert np.isnan(pearson([1.0], [2.0]))


def test_mean_absolute_error() -> None:
    assert mean_absolute_error([1.0, 5.0], [2.0, 2.0]) == 2.0
    assert np.isnan(mean_absolute_error([], []))
    assert np.isnan(accuracy([], []))


def test_landmark_errors_are_percent_of_the_eye_distance() -> None:
    truth = np.array([[[0, 0], [50, 0], [25, 30], [5, 60], [45, 60]]], np.float64)
    assert landmark_errors(truth + np.array([3, 4]), truth, 0, 1).tolist() == pytest.approx([10.0])
    one_off = truth.copy()
    one_off[0, 2, 0] += 25
    assert landmark_errors(one_off, truth, 0, 1).tolist() == pytest.approx([100 * 25 / 5 / 50])
    assert np.isnan(landmark_errors(truth, np.zeros_like(truth), 0, 1)).all()


@given(POINTS, POINTS, st.floats(0.1, 20), st.floats(-100, 100))
def test_landmark_errors_do_not_depend_on_size_or_place(
    guess: list[tuple[float, float]], truth: list[tuple[float, float]], scale: float, shift: float
) -> None:
    one, two = np.array([guess]), np.array([truth])
    two[0, 1] = two[0, 0] + np.array([10, 0])
    moved = landmark_errors(one * scale + shift, two * scale + shift, 0, 1)
    assert moved == pytest.approx(landmark_errors(one, two, 0, 1), rel=1e-6, abs=1e-6)
