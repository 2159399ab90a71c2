"""Intervals hold the truth as often as they say, also when neighbours are alike, and are the same for the same seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_pairs import autocorrelated
from vultus.bench.bootstrap import Interval, block_length, mean_draws, percentile_draws, ratio_interval

Floats = npt.NDArray[np.float64]

SHARES = (0.5, 0.9)
DRAWS = 200


def intervals(first: Floats, second: Floats, seed: int = 0, draws: int = DRAWS) -> list[Interval]:
    below = percentile_draws(first, SHARES, seed, draws)
    above = percentile_draws(second, SHARES, seed + 1, draws)
    return [ratio_interval(*pair) for pair in zip(above, below, strict=True)]


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.3])
@pytest.mark.parametrize(("count", "rho"), [(100, 0.0), (400, 0.5), (1500, 0.9)])
def test_a_known_ratio_is_inside_as_often_as_promised(count: int, rho: float, ratio: float) -> None:
    runs, inside = 60, 0
    for number in range(runs):
        pair = (autocorrelated(count, rho, 2 * number + side) for side in (0, 1))
        first, second = next(pair), next(pair) * ratio
        inside += sum(found.low <= ratio <= found.high for found in intervals(first, second, number, 100))
    # 95 % are promised; with a hundred draws and 120 trials, in pairs alike, fewer than 85 % do not come by chance.
    assert inside / (2 * runs) >= 0.85


def test_redrawing_one_by_one_would_be_too_sure() -> None:
    """What blocks are for: neighbours that are alike carry less than as many independent samples."""
    times = autocorrelated(1500, 0.9, 7)
    blocked = percentile_draws(times, SHARES, 0, DRAWS)
    shuffled = percentile_draws(np.random.default_rng(0).permutation(times), SHARES, 0, DRAWS)
    assert blocked[0].block > 10
    assert shuffled[0].block <= 3
    assert np.std(blocked[0].draws) > 2 * np.std(shuffled[0].draws)


@given(
    times=st.lists(st.floats(0.1, 1e4), min_size=64, max_size=200).map(np.array),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=30, deadline=None)
def test_identical_runs_differ_by_nothing(times: Floats, seed: int) -> None:
    for found in intervals(times, times.copy(), seed, 50):
        assert found.ratio == 1.0
        assert found.low <= 1.0 <= found.high


@given(
    seed=st.integers(0, 1000),
    count=st.integers(64, 300),
    factor=st.sampled_from([0.25, 0.5, 2.0, 4.0]),
)
@settings(max_examples=20, deadline=None)
def test_a_ratio_scales_with_the_times(seed: int, count: int, factor: float) -> None:
    first, second = autocorrelated(count, 0.3, seed), autocorrelated(count, 0.3, seed + 5000)
    for plain, scaled in zip(
        intervals(first, second, seed), intervals(first, second * factor, seed), strict=True
    ):
        assert scaled.ratio == plain.ratio * factor
        assert (scaled.low, scaled.high) == (plain.low * factor, plain.high * factor)
        assert plain.low <= plain.high


@given(
    times=st.lists(st.floats(0.1, 1e4), min_size=64, max_size=150).map(np.array), seed=st.integers(0, 2**31)
)
@settings(max_examples=30, deadline=None)
def test_redrawn_figures_lie_within_the_samples(times: Floats, seed: int) -> None:
    p50, p90 = percentile_draws(times, SHARES, seed, 50)
    assert np.isin(p50.draws, times).all()
    assert np.isin(p90.draws, times).all()
    assert (p50.draws <= p90.draws).all()
    mean = mean_draws(times, seed, 50)
    assert mean.value == pytest.approx(times.mean())
    assert ((mean.draws >= times.min() * 0.999999) & (mean.draws <= times.max() * 1.000001)).all()


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second = autocorrelated(200, 0.5, 1), autocorrelated(200, 0.5, 2)
    assert intervals(first, second, 3) == intervals(first, second, 3)
    assert intervals(first, second, 3) != intervals(first, second, 4)


@pytest.mark.parametrize(
    ("series", "least", "most"),
    [
        (np.full(100, 3.0), 1, 1),
        (np.random.default_rng(1).standard_normal(3000), 1, 4),
        (autocorrelated(3000, 0.9, 1), 20, 200),
        (np.repeat([0.0, 1.0], 500), 50, 1000 // 15),
        (np.tile([0.0, 1.0], 500), 1, 1000 // 15),
    ],
)
def test_blocks_are_as_long_as_samples_are_alike(series: Floats, least: int, most: int) -> None:
    assert least <= block_length(series) <= most


def test_more_samples_give_a_narrower_interval() -> None:
    def width(count: int) -> float:
        found = intervals(autocorrelated(count, 0.3, 1), autocorrelated(count, 0.3, 2))[0]
        return found.high - found.low

    assert width(4000) < width(400) < width(100)
