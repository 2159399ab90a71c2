"""How figures are held in a result: rounded, counted, with intervals, over all faces and over groups of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus_export.metrics.fields import Metrics
from vultus_export.metrics.intervals import Index, interval

__all__ = ["LEAST", "Metric", "group_entry", "grouped", "limits", "nothing", "rounded", "summary"]

LEAST = 10
"""Groups of fewer have no interval, and cells of crosses no figure: so few faces say nothing of a group."""

Metric = Callable[[Index], float]


def rounded(value: float) -> float | None:
    """Return a figure as JSON holds it: five decimals, null for what is not defined."""
    return None if math.isnan(value) else round(float(value), 5)


def limits(metric: Metric, size: int, name: str) -> list[float] | None:
    """Return the 95 % bootstrap interval of a metric over `size` pictures as JSON holds it."""
    found = interval(metric, size, name)
    return [round(side, 5) for side in found] if found else None


def summary(path: str, size: int, metrics: Metrics) -> dict[str, Any]:
    """Return metrics over all `size` faces, `n`, and under `ci95` their 95 % bootstrap intervals."""
    every = np.arange(size)
    entry: dict[str, Any] = {name: rounded(metric(every)) for name, metric in metrics.items()}
    entry["n"] = size
    entry["ci95"] = {name: limits(metric, size, f"{path}.{name}") for name, metric in metrics.items()}
    return entry


def nothing(keys: tuple[str, ...], note: str) -> dict[str, Any]:
    """Return the entry of a figure that could not be measured, with the reason."""
    return {**dict.fromkeys(keys), "n": 0, "note": note}


def grouped(path: str, groups: npt.NDArray[np.str_], name: str, metric: Metric) -> dict[str, Any]:
    """Return {group: {name: figure, "n": members, "ci95": its interval}} sorted by the groups' names."""
    places = {str(group): np.flatnonzero(groups == group) for group in np.unique(groups)}
    return {group: group_entry(f"{path}.{group}", at, name, metric) for group, at in places.items()}


def group_entry(
    path: str, at: Index, name: str, metric: Metric, pictures: Index | None = None
) -> dict[str, Any]:
    """Return a group's figure, how many it is of, and its interval where LEAST draws or more can be drawn of.

    at: the group's places among all. pictures: of all, which picture each is in, where whole pictures are drawn.
    """
    entry = {name: rounded(metric(at)) if len(at) else None, "n": len(at)}
    if pictures is None:
        return _with_limits(entry, path, len(at), len(at), lambda drawn: metric(at[drawn]))
    numbers = np.unique(pictures)
    members = [at[pictures[at] == number] for number in numbers]
    filled = sum(len(part) > 0 for part in members)

    def of_pictures(drawn: Index) -> float:
        places = np.concatenate([members[i] for i in drawn])
        return metric(places) if len(places) else float("nan")

    return _with_limits(entry, path, filled, len(numbers), of_pictures)


def _with_limits(entry: dict[str, Any], path: str, filled: int, size: int, metric: Metric) -> dict[str, Any]:
    return entry if filled < LEAST else {**entry, "ci95": limits(metric, size, path)}
