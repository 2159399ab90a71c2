"""Pairs of greatest worth: all pairings tried one by one, and what must hold of any."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.assignment import growing_pairs


def total(worth: np.ndarray, pairs: np.ndarray) -> float:
    paired = np.flatnonzero(pairs >= 0)
    return float(worth[paired, pairs[paired]].sum())


def best_by_force(worth: np.ndarray) -> float:
    rows, columns = worth.shape
    padded = np.concatenate([worth, np.zeros((rows, rows))], axis=1)
    return max(
        float(sum(padded[row, column] for row, column in enumerate(chosen)))
        for chosen in itertools.permutations(range(columns + rows), rows)
    )


def greedy(worth: np.ndarray) -> float:
    left, sum_ = worth.copy(), 0.0
    while left.size and left.max() > 0:
        row, column = np.unravel_index(left.argmax(), left.shape)
        sum_ += left[row, column]
        left = np.delete(np.delete(left, row, axis=0), column, axis=1)
    return float(sum_)


@pytest.mark.parametrize(
    ("worth", "expected"),
    [
        ([[0.9]], [[0]]),
        ([[0.6, 0.5], [0.55, 0.0]], [[0], [1, 0]]),  # the second row drives the first away
        ([[0.4], [0.9], [0.6]], [[0], [-1, 0], [-1, 0, -1]]),
        ([[-0.5]], [[-1]]),
        ([[0.5, 0.6, 0.7]], [[2]]),
        ([[], []], [[-1], [-1, -1]]),
        ([], []),
    ],
)
def test_pairs_by_hand(worth: list[list[float]], expected: list[list[int]]) -> None:
    table = np.array(worth, np.float64).reshape(len(worth), -1 if worth and worth[0] else 0)
    assert [pairs.tolist() for pairs in growing_pairs(table)] == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 8]))
def test_every_answer_is_the_best_of_all(seed: int, rows: int, columns: int, digits: int) -> None:
    worth = np.round(np.random.default_rng(seed).uniform(-0.3, 1, (rows, columns)), digits)
    for count, pairs in enumerate(growing_pairs(worth), 1):
        paired = pairs[pairs >= 0]
        assert len(set(paired.tolist())) == len(paired)
        assert total(worth, pairs) == pytest.approx(best_by_force(worth[:count]), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 25))
def test_no_answer_is_worse_than_greed_or_than_the_one_before(seed: int, rows: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    worth = random.random((rows, columns)) * (random.random((rows, columns)) < 0.4)
    totals = [total(worth, pairs) for pairs in growing_pairs(worth)]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(totals))
    for count, sum_ in enumerate(totals, 1):
        assert sum_ >= greedy(worth[:count]) - 1e-12
