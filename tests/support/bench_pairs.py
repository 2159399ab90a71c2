"""Result files for tests of what compares and shows them: a record with samples of a known distribution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench_records import record
from vultus.bench.files import save_record
from vultus.bench.record import Arrays, Counts, Record, Verdict
from vultus.bench.samples import latency_of

__all__ = ["arrays_of", "autocorrelated", "save_run", "valid_record"]


def autocorrelated(count: int, rho: float, seed: int) -> npt.NDArray[np.float64]:
    """Return (count,) lognormal ms around 20 whose neighbours are as alike as rho says, 0 for not at all."""
    noise = np.random.default_rng(seed).standard_normal(count + 100)
    around = np.empty_like(noise)
    around[0] = noise[0]
    for at in range(1, len(noise)):
        around[at] = rho * around[at - 1] + np.sqrt(1 - rho * rho) * noise[at]
    return 20 * np.exp(0.2 * around[100:])


def arrays_of(times: npt.NDArray[np.float64]) -> Arrays:
    """Return the raw samples of a run in which one query of (n,) ms followed the other."""
    spent = np.round(times * 1e6).astype(np.int64)
    end = np.cumsum(spent)
    return {"intended_ns": end - spent, "start_ns": end - spent, "end_ns": end, "stage/detect": spent // 2}


def valid_record(times: npt.NDArray[np.float64], **changes: Any) -> Record:
    """Return a record that may be quoted, of (n,) ms."""
    seconds = float(times.sum()) / 1e3
    made = replace(
        record(),
        counts=Counts(len(times), len(times), seconds, 20, 1.0, True),
        latency=latency_of(arrays_of(times)["end_ns"] - arrays_of(times)["intended_ns"]),
        throughput=len(times) / seconds,
        verdict=Verdict(True),
    )
    return replace(made, **changes)


def save_run(path: Path, times: npt.NDArray[np.float64], **changes: Any) -> Path:
    """Write a result and its samples; return where."""
    save_record(valid_record(times, **changes), arrays_of(times), path)
    return path
