"""The slope of memory: right on lines, and as sure of itself as it may be on noise of known kinds."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.bench.leak import LEAST, slope_of, student

RUNS = 600
POINTS = 300
TIMES = (np.arange(POINTS) * 200_000_000).astype(np.int64)  # five a second for a minute


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**9), st.integers(LEAST, 400))
@settings(max_examples=60, deadline=None)
def test_a_line_gives_its_own_slope(rate: int, start: int, count: int) -> None:
    seconds = np.arange(count)
    found = slope_of(seconds.astype(np.int64) * 10**9, (start + rate * seconds).astype(np.int64), count)
    assert found is not None
    assert found.bytes_per_second == pytest.approx(rate, abs=1e-3)
    assert found.low == pytest.approx(rate, abs=1e-2) == found.high
    assert found.bytes_per_frame == pytest.approx(rate * (count - 1) / count, abs=1e-2)


def noise(kind: str, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    if kind == "independent":
        return rng.normal(0, 1e5, POINTS)
    if kind == "lumpy":
        return np.asarray(1e6 * (rng.random(POINTS) < 0.1), np.float64)
    steps = rng.normal(0, 1e5, POINTS)  # each reading is half the one before it
    for i in range(1, POINTS):
        steps[i] += 0.5 * steps[i - 1]
    return np.asarray(steps, np.float64)


@pytest.mark.parametrize("kind", ["independent", "lumpy", "alike"])
@pytest.mark.parametrize("rate", [0.0, 20_000.0])
def test_the_interval_covers_the_truth_as_often_as_it_says(kind: str, rate: float) -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(RUNS):
        values = (1e8 + rate * TIMES / 1e9 + noise(kind, rng)).astype(np.int64)
        found = slope_of(TIMES, values, POINTS)
        assert found is not None
        covered += found.low <= rate <= found.high
    # Readings that follow each other are alike, which costs a little of the 95 % even after averaging.
    least = 0.95 if kind != "alike" else 0.92
    assert covered / RUNS >= least - 3 * math.sqrt(0.05 * 0.95 / RUNS)
    assert covered / RUNS <= 0.95 + 4 * math.sqrt(0.05 * 0.95 / RUNS)


def test_a_leak_of_a_kilobyte_a_second_is_seen_through_noise() -> None:
    rng = np.random.default_rng(9)
    flat = 1e8 + rng.normal(0, 4096, POINTS)
    assert not getattr(slope_of(TIMES, flat.astype(np.int64), 100), "leaks", None)
    leaking = slope_of(TIMES, (flat + 1024 * TIMES / 1e9).astype(np.int64), 100)
    assert leaking is not None
    assert leaking.leaks


@pytest.mark.parametrize("count", [0, 1, LEAST - 1])
def test_too_few_readings_give_no_slope(count: int) -> None:
    assert slope_of(TIMES[:count], TIMES[:count], 1) is None


def test_no_time_between_readings_gives_no_slope() -> None:
    assert slope_of(np.zeros(LEAST, np.int64), TIMES[:LEAST], 1) is None


@pytest.mark.parametrize(("freedom", "quantile"), [(5, 2.5706), (10, 2.2281), (18, 2.1009), (30, 2.0423)])
def test_students_quantile(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, abs=3e-4)
