"""Samples of telemetry over time, and energy from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Energy", "Series"]


@dataclass(frozen=True)
class Energy:
    """Energy of one channel over a stretch of time.

    joules: None when the samples do not cover the stretch, with `why`. error: bound in joules of what lies
    between the samples, under the assumption that power there stays between its neighbouring samples; it holds
    nothing of the sensor's own accuracy (INA3221: 1 % and more at small currents). samples: those used.
    gap: longest time between two of them, in seconds.
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

    times: (n,) int64, nanoseconds of time.perf_counter_ns, ascending, after each row was read.
    values: (n, k) float64, one column per key, in its unit; NaN where a channel was not readable.
    """

    keys: tuple[str, ...]
    units: tuple[str, ...]
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
