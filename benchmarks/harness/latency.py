"""How long calls take beside each other: one call each in turn, so that whatever else the machine does hits all."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus_export.metrics.intervals import Index, interval

__all__ = ["compared", "interleaved", "processor"]

WARMUP = 5

Times = npt.NDArray[np.float64]


def interleaved(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Times]:
    """Return the milliseconds of every call by name, (rounds,) each; each round begins with another one."""
    names = list(calls)
    for _ in range(WARMUP):
        for name in names:
            calls[name]()
    times = {name: np.empty(rounds) for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            began = time.perf_counter_ns()
            calls[name]()
            times[name][number] = (time.perf_counter_ns() - began) / 1e6
    return times


def compared(times: Times, reference: Times, name: str) -> dict[str, Any]:
    """Return the median time, and the median of the ratios to the reference in the same round with its interval."""
    ratios = times / reference

    def middle(at: Index) -> float:
        return float(np.median(ratios[at]))

    sides = interval(middle, len(ratios), name)
    return {
        "median_ms": round(float(np.median(times)), 4),
        "ratio": round(middle(np.arange(len(ratios))), 4),
        "ci95": [round(side, 4) for side in sides] if sides else None,
    }


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
