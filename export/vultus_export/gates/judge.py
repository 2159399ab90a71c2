"""Each measure of master and candidate against its limit, with what the choice of pictures could do by chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from vultus_export.gates.limits import GROUP_FACTOR, LIMITS, MINIMUM, limit_for
from vultus_export.metrics.fields import Metric
from vultus_export.metrics.intervals import Index, paired_error

__all__ = ["FAILED", "FEW", "NOISE", "OK", "UNDEFINED", "Comparison", "Judged", "judge", "worst"]

OK, NOISE, FAILED, FEW, UNDEFINED = "ok", "within noise", "failed", "too few", "undefined"

CHANCE = 0.05
"""Two-sided chance with which pure noise may count as a change: for each whole set, and for all groups together."""


@dataclass(frozen=True)
class Comparison:
    """One measure of both models on the same faces.

    master, candidate: functions of indices into `size` faces. groups: name -> indices of its members.
    largest: the largest deviation of a single face, where that says something.
    """

    name: str
    kind: str
    size: int
    master: Metric
    candidate: Metric
    groups: Mapping[str, Index] = field(default_factory=dict)
    largest: float | None = None


@dataclass(frozen=True)
class Judged:
    """A measure beside its limit.

    change: how much worse it got, in the unit of its kind (see LIMITS); negative is better. noise: what a change has
    to exceed to be told from chance, in the same unit; measured where the limit is passed. group: "" for all faces.
    """

    name: str
    group: str
    kind: str
    n: int
    master: float
    candidate: float
    change: float
    limit: float
    status: str
    noise: float | None = None
    largest: float | None = None

    @property
    def excess(self) -> float:
        """The change in multiples of the limit."""
        return self.change / self.limit


def judge(comparisons: Iterable[Comparison], precision: str) -> list[Judged]:
    """Return every measure judged: for all faces, then for each group.

    A change beyond its limit fails when it is larger than its noise, that is when the paired bootstrap tells it from
    no change at all; a distance, which is never 0, when it tells it from the limit. A group's limit is GROUP_FACTOR
    times the change of the whole, but never less than the limit of the whole; groups of fewer than MINIMUM faces are
    reported and do not count. So that many groups do not fail by mere chance, the level of theirs is shared by all
    (Bonferroni). Raises ModelError for an unknown precision.
    """
    listed = list(comparisons)
    counted = sum(len(at) >= MINIMUM for one in listed for at in one.groups.values())
    found = []
    for one in listed:
        whole = _judged(one, "", np.arange(one.size), limit_for(one.kind, precision), CHANCE)
        found.append(whole)
        limit = max(whole.limit, GROUP_FACTOR * whole.change) if math.isfinite(whole.change) else whole.limit
        found += [_judged(one, name, at, limit, CHANCE / max(counted, 1)) for name, at in one.groups.items()]
    return found


def _judged(one: Comparison, group: str, at: Index, limit: float, chance: float) -> Judged:
    master, candidate = (one.master(at), one.candidate(at)) if len(at) else (math.nan, math.nan)
    worse = _worse(one.kind, master, candidate)
    scale = abs(master) if LIMITS[one.kind].relative and not math.isnan(master) else 1.0
    change = _share(worse, scale)
    noise, status = None, _status(change, limit, len(at), group)
    if status == FAILED and math.isfinite(worse):
        reach = _noise(one, group, at, chance)
        noise = None if reach is None else _share(reach, scale)
        surely = limit if LIMITS[one.kind].distance else 0.0
        status = NOISE if reach is not None and worse <= surely + reach else FAILED
    largest = None if group else one.largest
    return Judged(
        one.name, group, one.kind, len(at), master, candidate, change, limit, status, noise, largest
    )


def _worse(kind: str, master: float, candidate: float) -> float:
    """Return how much worse the candidate is; NaN where the master is undefined, infinite where it alone is not."""
    if math.isnan(master):
        return math.nan
    if math.isnan(candidate):
        return math.inf
    return master - candidate if LIMITS[kind].higher else candidate - master


def _share(value: float, scale: float) -> float:
    if not value:
        return 0.0
    return value / scale if scale else math.copysign(math.inf, value)


def _status(change: float, limit: float, size: int, group: str) -> str:
    if math.isnan(change):
        return UNDEFINED
    if group and size < MINIMUM:
        return FEW
    return FAILED if change > limit else OK


def _noise(one: Comparison, group: str, at: Index, chance: float) -> float | None:
    """Return the difference that chance alone reaches; None where it cannot be known."""

    def of(metric: Metric) -> Metric:
        return lambda picked: metric(at[picked])

    spread = paired_error(of(one.master), of(one.candidate), len(at), f"{one.name}/{group}")
    return None if spread is None else NormalDist().inv_cdf(1 - chance / 2) * spread


def worst(judged: Sequence[Judged]) -> Judged | None:
    """Return the measure that is furthest beyond its limit, failed ones first; None without any that counts."""
    rank = {FAILED: 2, NOISE: 1, OK: 1}
    counting = [one for one in judged if one.status in rank]
    return max(counting, key=lambda one: (rank[one.status], one.excess), default=None)
