"""Warm-up: run until two windows in a row agree, since nobody knows ahead how long caches, clocks and heat take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vultus.bench.clock import Clock

__all__ = ["AGREEMENT", "WINDOW_QUERIES", "WINDOW_SECONDS", "WarmUp", "warm_up"]

AGREEMENT = 0.02
WINDOW_SECONDS = 0.5
WINDOW_QUERIES = 8
"""A window lasts at least so long and holds at least so many queries by default."""


@dataclass(frozen=True)
class WarmUp:
    """What it took. windows: median time of a query in each window, in ns. settled: whether the last two agree."""

    queries: int
    seconds: float
    windows: tuple[int, ...]
    settled: bool


def warm_up(query: Callable[[], object], clock: Clock, limit: float, least: int = WINDOW_QUERIES) -> WarmUp:
    """Run `query` until the medians of two windows in a row are within AGREEMENT, or for `limit` seconds.

    least: queries of a window. At least two windows are run whatever the limit.
    """
    began = clock.now()
    windows: list[int] = []
    queries = 0
    while True:
        times = _window(query, clock, least)
        queries += len(times)
        windows.append(int(np.median(times)))
        settled = len(windows) > 1 and _agree(windows[-2], windows[-1])
        seconds = (clock.now() - began) / 1e9
        if settled or (len(windows) > 1 and seconds >= limit):
            return WarmUp(queries, seconds, tuple(windows), settled)


def _window(query: Callable[[], object], clock: Clock, least: int) -> list[int]:
    began = before = clock.now()
    times: list[int] = []
    while len(times) < least or before - began < WINDOW_SECONDS * 1e9:
        query()
        after = clock.now()
        times.append(after - before)
        before = after
    return times


def _agree(first: int, second: int) -> bool:
    return abs(first - second) <= AGREEMENT * min(first, second)
