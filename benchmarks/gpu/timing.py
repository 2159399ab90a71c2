"""Times by events on the device, and their spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from vultus.bench.samples import latency_of
from vultus.cuda.driver import Driver, Stream

__all__ = ["device_milliseconds", "replayed_milliseconds", "spread"]

WARMUP = 10


def spread(milliseconds: Sequence[float]) -> dict[str, Any]:
    """Return median, 90th and 99th percentile in milliseconds, and how many were timed.

    The tails are None where too few were timed to speak of them, by the rule of `vultus bench`.
    """
    found = latency_of(np.rint(np.asarray(milliseconds, np.float64) * 1e6).astype(np.int64))
    tails = {f"p{share}": found.at(share / 100) if found else None for share in (90, 99)}
    return {"p50": round(float(np.median(milliseconds)), 5), **tails, "n": len(milliseconds)}


def device_milliseconds(
    driver: Driver, stream: Stream, work: Callable[[], None], rounds: int, warmup: int = WARMUP
) -> list[float]:
    """Return the device time of each of `rounds` runs of what `work` enqueues in the stream."""
    with ExitStack() as stack:
        marks = [driver.event(timing=True) for _ in range(2 * rounds)]
        for mark in marks:
            stack.callback(mark.close)
        for _ in range(min(warmup, rounds)):
            work()
        stream.synchronise()
        for number in range(rounds):
            marks[2 * number].record(stream)
            work()
            marks[2 * number + 1].record(stream)
        stream.synchronise()
        return [marks[2 * n + 1].milliseconds_since(marks[2 * n]) for n in range(rounds)]


def replayed_milliseconds(
    driver: Driver, stream: Stream, works: Sequence[Callable[[], None]], rounds: int
) -> list[float]:
    """Return the device time of one piece of work: all of `works` are one graph, whose time is divided by them.

    A graph leaves no launch gaps between small kernels, and works on different memory keep the cache out.
    """
    with driver.capture(stream) as graphs:
        for work in works:
            work()
    try:
        times = device_milliseconds(driver, stream, lambda: graphs[0].launch(stream), rounds)
    finally:
        stream.synchronise()
        graphs[0].close()
    return [time / len(works) for time in times]
