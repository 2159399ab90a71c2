"""Energy by integration: exact where it can be, within its bound elsewhere, and silent where samples lack."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.telemetry import Series

SECOND = 1_000_000_000
watts = st.floats(-1.0, 300.0)
traces = st.lists(st.tuples(st.integers(20_000_000, 400_000_000), watts), min_size=2, max_size=40)


def series(times: list[int], values: list[float], unit: str = "W") -> Series:
    key = "power/VDD_IN" if unit == "W" else "energy/package-0"
    return Series((key,), (unit,), np.array(times, np.int64), np.array(values, np.float64)[:, None])


def power(trace: list[tuple[int, float]], start: int = 0) -> Series:
    times = start + np.cumsum([step for step, _ in trace])
    return series(times.tolist(), [value for _, value in trace])


def joules(of: Series, start: int, stop: int) -> float:
    found = of.energy(of.keys[0], start, stop)
    assert found.joules is not None, found.why
    return found.joules


@given(traces)
def test_whole_trace_is_the_trapezoidal_sum(trace: list[tuple[int, float]]) -> None:
    of = power(trace)
    t, p = of.times * 1e-9, of.values[:, 0]
    expected = sum((t[i + 1] - t[i]) * (p[i] + p[i + 1]) / 2 for i in range(len(t) - 1))
    assert joules(of, int(of.times[0]), int(of.times[-1])) == pytest.approx(expected, abs=1e-6)


@given(traces, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_parts_add_up_to_the_whole(trace: list[tuple[int, float]], a: float, b: float, c: float) -> None:
    of = power(trace)
    first, last = int(of.times[0]), int(of.times[-1])
    low, middle, high = (first + round(x * (last - first)) for x in sorted((a, b, c)))
    if low < middle < high:
        parts = joules(of, low, middle) + joules(of, middle, high)
        assert parts == pytest.approx(joules(of, low, high), abs=1e-6)


@given(st.lists(st.integers(1_000_000, 400_000_000), min_size=2, max_size=40), watts, watts)
def test_power_that_rises_evenly_is_exact_at_any_sampling(
    steps: list[int], start: float, slope: float
) -> None:
    times = np.cumsum(steps)
    of = series(times.tolist(), (start + slope * times * 1e-9).tolist())
    a, b = times[0] * 1e-9, times[-1] * 1e-9
    expected = start * (b - a) + slope * (b * b - a * a) / 2
    assert joules(of, int(times[0]), int(times[-1])) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(traces, st.lists(st.floats(0, 1), min_size=40, max_size=40), st.floats(0, 0.4), st.floats(0.6, 1))
def test_steps_that_hide_between_samples_stay_within_the_bound(
    trace: list[tuple[int, float]], where: list[float], low: float, high: float
) -> None:
    """Power that jumps from one sample's value to the next at any moment between them is within `error`."""
    of = power(trace)
    first, last = int(of.times[0]), int(of.times[-1])
    start, stop = first + int(low * (last - first)), first + int(high * (last - first))
    found = of.energy(of.keys[0], start, stop)
    assert found.joules is not None
    assert found.error is not None
    truth = 0.0
    for share, (i, j) in zip(where, pairwise(range(len(of.times))), strict=False):
        left, right = int(of.times[i]), int(of.times[j])
        jump = left + share * (right - left)
        truth += of.values[i, 0] * _overlap(left, jump, start, stop)
        truth += of.values[j, 0] * _overlap(jump, right, start, stop)
    assert abs(found.joules - truth) <= found.error + 1e-6


def _overlap(left: float, right: float, start: float, stop: float) -> float:
    return max(0.0, min(right, stop) - max(left, start)) * 1e-9


@given(traces, st.integers(0, 10**15))
def test_moment_of_the_run_does_not_matter(trace: list[tuple[int, float]], start: int) -> None:
    of, later = power(trace), power(trace, start)
    here = joules(of, int(of.times[0]), int(of.times[-1]))
    assert joules(later, int(later.times[0]), int(later.times[-1])) == pytest.approx(here, abs=1e-6)


def test_constant_power_has_no_error() -> None:
    of = series([0, SECOND, 2 * SECOND], [7.5, 7.5, 7.5])
    found = of.energy("power/VDD_IN", 0, 2 * SECOND)
    assert (found.joules, found.error, found.seconds, found.samples, found.gap) == (15.0, 0.0, 2.0, 3, 1.0)
    assert found.watts == 7.5


def test_missing_samples_are_bridged_and_cost_error() -> None:
    of = series([0, SECOND, 2 * SECOND, 3 * SECOND], [10.0, float("nan"), 20.0, 20.0])
    found = of.energy("power/VDD_IN", 0, 3 * SECOND)
    assert (found.joules, found.error, found.samples, found.gap) == (50.0, 10.0, 3, 2.0)
    assert of.missing() == {"power/VDD_IN": 1}


UNCOVERED = [
    ([0, 5 * SECOND], [1.0, 1.0], 0, 5, "5.00 s pass without a sample, at most 2.00 s are bridged"),
    ([0, SECOND], [1.0, 1.0], 0, 9, "8.00 s pass without a sample"),
    ([8 * SECOND, 9 * SECOND], [1.0, 1.0], 0, 9, "8.00 s pass without a sample"),
    ([0, SECOND], [1.0, 1.0], 20, 29, "without a sample"),
    ([0, SECOND], [float("nan")] * 2, 0, 1, "0 samples are readable, at least 2 are needed"),
    ([0, SECOND], [1.0, 1.0], 1, 1, "the stretch is 0 s long"),
]


@pytest.mark.parametrize(("times", "values", "start", "stop", "why"), UNCOVERED)
def test_stretch_that_samples_do_not_cover_has_no_energy(
    times: list[int], values: list[float], start: int, stop: int, why: str
) -> None:
    found = series(times, values).energy("power/VDD_IN", start * SECOND, stop * SECOND)
    assert (found.joules, found.watts) == (None, None)
    assert why in found.why


def test_power_is_held_at_the_edges_for_a_moment() -> None:
    of = series([SECOND, 2 * SECOND], [10.0, 30.0])
    found = of.energy("power/VDD_IN", SECOND // 2, 2 * SECOND + SECOND // 2)
    assert found.joules == pytest.approx(5.0 + 20.0 + 15.0)
    assert found.error == pytest.approx(10.0 + 10.0 + 10.0)


def test_held_power_may_be_as_far_off_as_any_that_was_seen() -> None:
    of = series([SECOND, 2 * SECOND, 3 * SECOND], [10.0, 30.0, 30.0])
    found = of.energy("power/VDD_IN", 2 * SECOND, 4 * SECOND)
    assert found.joules == pytest.approx(60.0)
    assert found.error == pytest.approx(20.0)


@given(st.lists(st.floats(0, 50), min_size=3, max_size=20), st.floats(0, 0.5), st.floats(0.5, 1))
def test_counter_gives_its_difference_within_its_bound(steps: list[float], low: float, high: float) -> None:
    times = [i * 200_000_000 for i in range(len(steps))]
    counter = np.cumsum(steps)
    of = series(times, counter.tolist(), "J")
    start, stop = int(low * times[-1]), int(high * times[-1])
    if start == stop:
        return
    found = of.energy("energy/package-0", start, stop)
    assert found.joules is not None
    assert found.error is not None
    t = np.array(times)
    least = counter[t <= stop].max() - counter[t >= start].min()
    most = counter[t >= stop].min() - counter[t <= start].max()
    assert found.joules - found.error <= max(least, 0.0) + 1e-9
    assert found.joules + found.error >= most - 1e-9
    assert -1e-9 <= found.joules <= most + 1e-9


def test_counter_over_whole_samples_is_exact() -> None:
    of = series([0, SECOND, 2 * SECOND], [0.0, 3.0, 11.0], "J")
    found = of.energy("energy/package-0", 0, 2 * SECOND)
    assert (found.joules, found.error) == (11.0, 0.0)


def test_only_power_and_energy_give_energy() -> None:
    of = Series(("temperature/cpu",), ("°C",), np.array([0, 1], np.int64), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="is in °C, no energy follows from it"):
        of.energy("temperature/cpu", 0, 1)
    with pytest.raises(KeyError, match="no channel 'power/VIN' was sampled; there are temperature/cpu"):
        of.energy("power/VIN", 0, 1)


def test_within_keeps_the_rows_of_a_stretch() -> None:
    of = series([0, SECOND, 2 * SECOND], [1.0, 2.0, 3.0]).within(SECOND, 2 * SECOND)
    assert of.column("power/VDD_IN").tolist() == [2.0, 3.0]
