"""Samples of telemetry over time, and energy from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LONGEST_GAP", "Energy", "Series"]

LONGEST_GAP = 2.0  # seconds without a sample over which no energy is claimed

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Energy:
    """Energy of one channel over a stretch of time.

    joules: None when the samples do not cover the stretch, with `why`. error: bound in joules of what may hide
    between the samples, if power there stays between its two neighbouring samples; it holds nothing of the
    sensor's own accuracy, nor of peaks shorter than the sampling interval. samples: those within the stretch.
    gap: longest time in seconds that is bridged without a sample.
    """

    channel: str
    joules: float | None
    error: float | None = None
    seconds: float = 0.0
    samples: int = 0
    gap: float = 0.0
    why: str = ""

    @property
    def watts(self) -> float | None:
        """Mean power over the stretch."""
        return None if self.joules is None or not self.seconds else self.joules / self.seconds


@dataclass(frozen=True)
class Series:
    """What the channels said.

    times: (n,) int64, nanoseconds of time.perf_counter_ns, ascending, at which each row was begun.
    values: (n, k) float64, one column per key, in its unit; NaN where a channel was not readable.
    """

    keys: tuple[str, ...]
    units: tuple[str, ...]
    times: npt.NDArray[np.int64]
    values: Floats

    def column(self, key: str) -> Floats:
        """Return the (n,) values of a channel. Raises KeyError for one that was not sampled."""
        if key not in self.keys:
            raise KeyError(f"no channel {key!r} was sampled; there are {', '.join(self.keys) or 'none'}")
        return self.values[:, self.keys.index(key)]

    def within(self, start_ns: int, stop_ns: int) -> Series:
        """Return the rows of a stretch of time."""
        rows = (self.times >= start_ns) & (self.times <= stop_ns)
        return Series(self.keys, self.units, self.times[rows], self.values[rows])

    def missing(self) -> dict[str, int]:
        """Return how many samples each channel lacks; those that lack none are left out."""
        counts = np.isnan(self.values).sum(axis=0)
        return {key: int(count) for key, count in zip(self.keys, counts, strict=True) if count}

    def energy(self, key: str, start_ns: int, stop_ns: int, longest_gap: float = LONGEST_GAP) -> Energy:
        """Integrate a channel of power by the trapezoidal rule, or take the difference of a counter of energy.

        Samples that are missing are bridged up to `longest_gap` seconds. Raises KeyError for an unknown channel
        and ValueError for one that is neither power nor energy.
        """
        unit = self.units[self.keys.index(key)] if key in self.keys else ""
        values = self.column(key)
        if unit not in ("W", "J"):
            raise ValueError(f"channel {key!r} is in {unit}, no energy follows from it; take one in W or J")
        seconds = (stop_ns - start_ns) * 1e-9
        there = np.isfinite(values)
        times: Floats = (self.times[there] - start_ns).astype(np.float64) * 1e-9
        inside = int(((times >= 0) & (times <= seconds)).sum())
        gap = _longest_gap(times, seconds)
        if problem := _problem(times, seconds, gap, longest_gap):
            return Energy(key, None, None, seconds, inside, gap, problem)
        joules, error = (_integral if unit == "W" else _difference)(times, values[there], seconds)
        return Energy(key, joules, error, seconds, inside, gap)


def _problem(times: Floats, seconds: float, gap: float, longest: float) -> str:
    if seconds <= 0:
        return f"the stretch is {seconds:.3g} s long"
    if len(times) < 2:
        return f"{len(times)} samples are readable, at least 2 are needed"
    return f"{gap:.2f} s pass without a sample, at most {longest:.2f} s are bridged" if gap > longest else ""


def _longest_gap(times: Floats, seconds: float) -> float:
    """Return the longest time without a sample that touches 0 ... seconds."""
    inside = times[(times > 0) & (times < seconds)]
    edges = [
        float(times[times <= 0].max(initial=-np.inf)),
        float(times[times >= seconds].min(initial=np.inf)),
    ]
    low, high = (
        edge if np.isfinite(edge) else default for edge, default in zip(edges, (0.0, seconds), strict=True)
    )
    return float(np.diff([low, *inside, high]).max(initial=0.0))


def _integral(times: Floats, watts: Floats, seconds: float) -> tuple[float, float]:
    """Return joules over 0 ... seconds and their bound; ahead of the first sample and behind the last it is held."""
    grid = np.concatenate([[0.0], times[(times > 0) & (times < seconds)], [seconds]])
    power = np.interp(grid, times, watts)
    step, mean = np.diff(grid), (power[1:] + power[:-1]) / 2
    middle = (grid[1:] + grid[:-1]) / 2
    after = np.clip(np.searchsorted(times, middle), 1, len(times) - 1)
    low, high = np.minimum(watts[after], watts[after - 1]), np.maximum(watts[after], watts[after - 1])
    held = (middle < times[0]) | (middle > times[-1])
    low, high = np.where(held, watts.min(), low), np.where(held, watts.max(), high)
    return float((step * mean).sum()), float((step * np.maximum(high - mean, mean - low)).sum())


def _difference(times: Floats, joules: Floats, seconds: float) -> tuple[float, float]:
    """Return the increase over 0 ... seconds, and what the two samples around each edge leave open of it."""
    start, stop = np.interp([0.0, seconds], times, joules)
    return float(stop - start), _open(times, joules, 0.0) + _open(times, joules, seconds)


def _open(times: Floats, joules: Floats, moment: float) -> float:
    """Return how far a counter that only rises may be from its interpolation at a moment."""
    if moment in times:
        return 0.0
    after = int(np.clip(np.searchsorted(times, moment), 1, len(times) - 1))
    low, high = joules[after - 1], joules[after]
    if moment < times[0] or moment > times[-1]:
        return float(high - low)
    value = float(np.interp(moment, times, joules))
    return float(max(value - low, high - value))
