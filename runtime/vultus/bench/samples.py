"""Samples of a run, and percentiles only where there are enough of them.

The rule is the early stopping of MLPerf Inference (Reddi et al. 2020; mlcommons/inference_policies, early stopping):
n samples can speak of the percentile p with confidence c when, were the true share of faster queries p, it would be
rarer than 1 - c to see at most one query in n that is slower: P(Bin(n, 1 - p) <= 1) <= 1 - c. At c = 99 % that is 64
samples for p90 and 662 for p99.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vultus.bench.record import Arrays, Latency, Percentile

__all__ = ["CONFIDENCE", "SHARES", "Recorder", "Samples", "latency_of", "needed", "upper_rank"]

CONFIDENCE = 0.99
SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
NEVER = -1
"""Stands in a stage's column for a frame that the stage did not run in."""

Ns = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """The queries of a run in order, in ns since its measured part began; see `vultus.bench.record.Arrays`.

    seconds: wall time of the measured part. frames: analysed in all queries together.
    """

    intended: Ns
    start: Ns
    end: Ns
    stages: Mapping[str, Ns]
    dropped: Ns
    frames: int
    seconds: float

    @property
    def latency(self) -> Ns:
        """Return the latency of each query, from its intended start."""
        return self.end - self.intended

    def arrays(self) -> Arrays:
        """Return everything as the arrays of a record."""
        times = {"intended_ns": self.intended, "start_ns": self.start, "end_ns": self.end}
        stages = {f"stage/{name}": column for name, column in self.stages.items()}
        return {**times, "dropped_ns": self.dropped, **stages}


@dataclass
class Recorder:
    """Columns that are allocated and touched ahead of the run, so that recording is not taken for a leak."""

    capacity: int
    count: int = 0
    frames: int = 0
    _times: npt.NDArray[np.int64] = field(init=False)
    _stages: dict[str, Ns] = field(default_factory=dict)
    _dropped: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Touch the pages: fresh zeros would count as memory only when they are written."""
        self._times = np.full((3, self.capacity), NEVER, np.int64)

    def expect(self, stages: Mapping[str, float]) -> None:
        """Make room for stages that are known to run."""
        for name in stages:
            self._stages.setdefault(name, np.full(self.capacity, NEVER, np.int64))

    def query(self, intended: int, start: int, end: int) -> None:
        """Add one query."""
        if self.count == self._times.shape[1]:
            self._times = _longer(self._times)
        self._times[:, self.count] = intended, start, end
        self.count += 1

    def frame(self, milliseconds: Mapping[str, float]) -> None:
        """Add the stages of one frame."""
        for name, spent in milliseconds.items():
            column = self._stages.get(name)
            if column is None:
                column = self._stages[name] = np.full(self.capacity, NEVER, np.int64)
            if self.frames >= len(column):
                column = self._stages[name] = _longer(column, self.frames + 1)
            column[self.frames] = round(spent * 1e6)
        self.frames += 1

    def drop(self, intended: int) -> None:
        """Add a frame that was never analysed."""
        self._dropped.append(intended)

    def samples(self, seconds: float) -> Samples:
        """Return what was recorded."""
        intended, start, end = (row[: self.count].copy() for row in self._times)
        stages = {name: _fitted(column, self.frames) for name, column in self._stages.items()}
        stages = {name: column for name, column in stages.items() if (column != NEVER).any()}
        dropped = np.array(self._dropped, np.int64)
        return Samples(intended, start, end, stages, dropped, self.frames, seconds)


def _longer(column: Ns, least: int = 0) -> Ns:
    """Return the columns with twice the room, at least `least`."""
    more = max(column.shape[-1], least - column.shape[-1], 1)
    return np.concatenate([column, np.full((*column.shape[:-1], more), NEVER, np.int64)], axis=-1)


def _fitted(column: Ns, frames: int) -> Ns:
    column = _longer(column, frames) if len(column) < frames else column
    return column[:frames].copy()


def latency_of(latency: Ns) -> Latency | None:
    """Return mean, spread and percentiles of latencies in ns, None for no samples."""
    if not len(latency):
        return None
    times = np.sort(latency) / 1e6
    percentiles = tuple(_percentile(times, share) for share in SHARES)
    low, high = float(times[0]), float(times[-1])
    return Latency(float(times.mean()), float(times.std()), low, high, percentiles)


def _percentile(times: npt.NDArray[np.float64], share: float) -> Percentile:
    """Return a percentile by nearest rank, which is a latency that really came up."""
    count, least = len(times), needed(share)
    if count < least:
        return Percentile(share, least)
    rank = min(math.ceil(share * count - 1e-9), count)
    upper = upper_rank(count, share)
    return Percentile(share, least, float(times[rank - 1]), float(times[upper - 1]) if upper else None)


@lru_cache(maxsize=64)
def needed(share: float, confidence: float = CONFIDENCE) -> int:
    """Return the least number of samples that can speak of a percentile: 64 for 0.9, 662 for 0.99."""
    slower = 1 - share

    def chance(n: int) -> float:
        return share**n + n * slower * share ** (n - 1)

    # The chance falls with n, so the least n is found by halving.
    low, high = 1, 2
    while chance(high) > 1 - confidence:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if chance(middle) > 1 - confidence else (low, middle)
    return high


@lru_cache(maxsize=64)
def upper_rank(count: int, share: float, confidence: float = CONFIDENCE) -> int | None:
    """Return the rank, from 1, of the sample that the percentile does not exceed with a confidence.

    The k-th smallest of n samples lies below the true percentile only when at most n - k of them are slower than it,
    whatever their distribution. None when even the slowest sample does not reach the confidence.
    """
    slower = 1 - share
    log = count * math.log(share)
    total, discarded = 0.0, -1
    for t in range(count):
        total += math.exp(log)
        if total > 1 - confidence:
            break
        discarded = t
        log += math.log((count - t) / (t + 1) * slower / share)
    return count - discarded if discarded >= 0 else None
