"""The percentile rule against what is known of distributions, and columns that grow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.bench.samples import SHARES, Recorder, latency_of, needed, upper_rank

DRAWS = 4000


def below(count: int, share: float, at_most: int) -> float:
    """Return P(Bin(count, 1 - share) <= at_most), summed exactly."""
    return sum(math.comb(count, k) * (1 - share) ** k * share ** (count - k) for k in range(at_most + 1))


@pytest.mark.parametrize(("share", "count"), [(0.9, 64), (0.99, 662), (0.5, 11)])
def test_the_least_counts_are_those_of_mlperf(share: float, count: int) -> None:
    assert needed(share) == count
    assert below(count, share, 1) <= 0.01 < below(count - 1, share, 1)


@given(st.floats(0.05, 0.995), st.integers(1, 900))
@settings(max_examples=60, deadline=None)
def test_the_upper_rank_is_the_least_that_keeps_the_confidence(share: float, count: int) -> None:
    rank = upper_rank(count, share)
    if rank is None:
        assert share**count > 0.01 * (1 - 1e-9)
        return
    discarded = count - rank
    assert below(count, share, discarded) <= 0.01 * (1 + 1e-9)
    assert rank == 1 or below(count, share, discarded + 1) > 0.01 * (1 - 1e-9)


@pytest.mark.parametrize("shape", ["exponential", "normal", "two speeds"])
@pytest.mark.parametrize(("share", "count"), [(0.9, 64), (0.9, 300), (0.99, 662)])
def test_the_bound_holds_for_known_distributions(shape: str, share: float, count: int) -> None:
    rng = np.random.default_rng(5)
    size = (DRAWS, count)
    if shape == "exponential":
        draws = rng.exponential(1.0, size)
    elif shape == "normal":
        draws = rng.normal(10.0, 2.0, size)
    else:
        draws = rng.normal(1.0, 0.01, size) + 9 * (rng.random(size) < 0.05)
    truth = {
        "exponential": -math.log(1 - share),
        "normal": 10 + 2 * {0.9: 1.2815516, 0.99: 2.3263479}[share],
        # 95 % are fast: p90 is the fast speed's 0.9 / 0.95, p99 the slow one's 0.04 / 0.05.
        "two speeds": {0.9: 1 + 0.01 * 1.6199, 0.99: 10 + 0.01 * 0.8416}[share],
    }[shape]
    rank = upper_rank(count, share)
    assert rank is not None
    bounds = np.sort(draws, axis=1)[:, rank - 1]
    missed = float((bounds < truth).mean())
    assert missed <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / DRAWS)


@pytest.mark.parametrize("count", [1, 10, 11, 63, 64, 661, 662, 7000])
def test_percentiles_come_only_where_the_count_supports_them(count: int) -> None:
    found = latency_of(np.arange(1, count + 1, dtype=np.int64) * 1_000_000)
    assert found is not None
    for percentile in found.percentiles:
        known = count >= percentile.needed
        assert (percentile.ms is not None) == known == (percentile.upper_ms is not None)
        if percentile.ms is not None and percentile.upper_ms is not None:
            assert percentile.ms == math.ceil(percentile.share * count - 1e-9)
            assert percentile.ms <= percentile.upper_ms <= count
    assert [percentile.share for percentile in found.percentiles] == list(SHARES)


def test_the_figures_of_a_latency() -> None:
    found = latency_of(np.array([4, 2, 6, 8], np.int64) * 1_000_000)
    assert found is not None
    assert (found.mean_ms, found.min_ms, found.max_ms) == (5.0, 2.0, 8.0)
    assert found.std_ms == pytest.approx(math.sqrt(5))
    assert found.at(0.9) is None
    assert latency_of(np.empty(0, np.int64)) is None


@pytest.mark.parametrize("capacity", [1, 3, 100])
def test_a_recorder_keeps_everything_whatever_its_room(capacity: int) -> None:
    recorder = Recorder(capacity)
    recorder.expect({"detect": 1.0, "never": 1.0})
    for number in range(20):
        recorder.query(number, number + 1, number + 5)
        recorder.frame({"detect": 0.5} | ({"align": 0.25} if number % 2 else {}))
    recorder.drop(7)
    samples = recorder.samples(2.0)
    assert samples.frames == 20
    assert list(samples.latency) == [5] * 20
    assert list(samples.stages) == ["detect", "align"]
    assert set(samples.stages["detect"]) == {500_000}
    assert list(samples.stages["align"][:4]) == [-1, 250_000, -1, 250_000]
    assert {name: len(column) for name, column in samples.arrays().items()} == {
        "intended_ns": 20, "start_ns": 20, "end_ns": 20, "dropped_ns": 1, "stage/detect": 20, "stage/align": 20,
    }  # fmt: skip
