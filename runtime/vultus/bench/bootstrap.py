"""How far two runs differ: ratios of percentiles with bootstrap intervals that heed how like neighbours are.

Latencies that follow each other are alike: caches are warm, the clock is where it was, another program runs for a
while. Resampling them one by one would take them for independent and give intervals that are too narrow, so blocks of
neighbours are drawn instead: the circular block bootstrap (Politis and Romano 1992), with the length of a block from
the samples themselves by the rule of Politis and White (2004) as corrected by Patton, Politis and White (2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLOCKS",
    "CONFIDENCE",
    "DRAWS",
    "Interval",
    "Redrawn",
    "block_length",
    "mean_draws",
    "percentile_draws",
    "ratio_interval",
]

CONFIDENCE = 0.95
DRAWS = 2000
BLOCKS = 15
"""There are always so many blocks to draw from: with fewer, what is drawn hardly varies."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A ratio with the interval that holds the true one with 95 % confidence."""

    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Redrawn:
    """One figure and what it came to in each redrawn run. block: samples drawn together."""

    value: float
    draws: Floats
    block: int


def percentile_draws(times: Floats, shares: Sequence[float], seed: int, draws: int = DRAWS) -> list[Redrawn]:
    """Return percentiles by nearest rank of (n,) times in the order they were measured, each with its redrawn ones."""
    order = np.argsort(times, kind="stable")
    ranked = times[order]
    values = [float(ranked[_rank(len(times), share) - 1]) for share in shares]
    block = max(block_length((times <= value).astype(np.float64)) for value in values)
    found = np.empty((len(shares), draws))
    for number, often in enumerate(_multiplicities(len(times), block, seed, draws)):
        reached = np.cumsum(often[order])
        ranks = [_rank(int(reached[-1]), share) for share in shares]
        found[:, number] = ranked[np.searchsorted(reached, ranks)]
    return [Redrawn(value, row, block) for value, row in zip(values, found, strict=True)]


def mean_draws(times: Floats, seed: int, draws: int = DRAWS) -> Redrawn:
    """Return the mean of (n,) times in the order they were measured, with its redrawn ones."""
    block = block_length(times)
    redrawn = _multiplicities(len(times), block, seed, draws)
    found = np.fromiter((often @ times / often.sum() for often in redrawn), np.float64, draws)
    return Redrawn(float(times.mean()), found, block)


def ratio_interval(above: Redrawn, below: Redrawn) -> Interval:
    """Return the ratio of two figures; the runs are independent, so any draw of one goes with any of the other."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(above.draws / below.draws, (tail, 1 - tail))
    return Interval(above.value / below.value, float(low), float(high))


def block_length(series: Floats) -> int:
    """Return how many neighbours of an (n,) series are to be drawn together: 1 where they are independent."""
    count = len(series)
    around = series - series.mean()
    variance = float(around @ around) / count
    if variance <= 0:
        return 1
    # Names of Politis and White: rho falls into noise after m lags; a flat-topped window of twice m weighs the rest.
    reach = max(5, math.ceil(math.sqrt(math.log10(count))))
    lags = min(math.ceil(math.sqrt(count)) + reach, count - 1)
    covariance = np.array([around[: count - lag] @ around[lag:] for lag in range(lags + 1)]) / count
    window = min(2 * _lags_that_matter(covariance / variance, count, reach), lags)
    if window == 0:
        return 1
    lag = np.arange(1, window + 1)
    weighed = np.clip(2 * (1 - lag / window), 0, 1) * covariance[1 : window + 1]
    bend, level = 2 * float(lag @ weighed), variance + 2 * float(weighed.sum())
    if level <= 0:
        return 1
    best = (1.5 * (bend / level) ** 2 * count) ** (1 / 3)
    return int(np.clip(math.ceil(best), 1, max(count // BLOCKS, 1)))


def _lags_that_matter(correlation: Floats, count: int, reach: int) -> int:
    """Return the last lag before `reach` in a row that cannot be told from noise."""
    noise = 2 * math.sqrt(math.log10(count) / count)
    loud = np.flatnonzero(np.abs(correlation[1:]) >= noise) + 1
    last = 0
    for lag in loud:
        if lag - last > reach:
            break
        last = int(lag)
    return last


def _multiplicities(count: int, block: int, seed: int, draws: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield of each redrawn run how often each of the samples is in it, (n,)."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        starts = rng.integers(0, count, math.ceil(count / block))
        begun = np.bincount(starts, minlength=count)
        # A sample is in every block that began at most block - 1 samples before it; the run is closed to a ring.
        around = np.concatenate([[0], begun[count - block + 1 :], begun]).cumsum()
        yield around[block:] - around[:-block]


def _rank(count: int, share: float) -> int:
    return min(max(math.ceil(share * count - 1e-9), 1), count)
