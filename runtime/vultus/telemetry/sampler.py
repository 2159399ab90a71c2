"""A thread that samples telemetry beside a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType

import numpy as np

from vultus.errors import UsageError
from vultus.telemetry.channels import Channel
from vultus.telemetry.series import Energy, Series

__all__ = ["Sampler"]

CAPACITY = 8192  # rows: 27 minutes at 5 Hz before every second one is dropped
PATIENCE = 2.0  # seconds that stop() waits for a sensor that hangs
SILENT, AGAIN = 5, 10  # rows without an answer, after which a channel is asked in every tenth row alone


class Sampler:
    """Reads channels at a steady rate in a daemon thread, from `start` or `with` to `stop`.

    channels: what to read; a channel that fails or vanishes leaves NaN, and one that stays silent is
    asked less often, since refusing takes a sensor long. hz: rows a second; a row that comes late is not made up
    for. capacity: rows that are kept; when they are full, every second one is dropped and the rate
    is halved, so that a run of any length fits and is covered whole.
    """

    def __init__(self, channels: Sequence[Channel], hz: float = 5.0, capacity: int = CAPACITY) -> None:
        if not hz > 0 or capacity < 4:
            raise UsageError(
                f"got {hz} Hz and room for {capacity} rows; expected above 0 Hz and 4 rows or more"
            )
        self.channels = tuple(channels)
        self._period = 1.0 / hz
        self._times = np.zeros(capacity, np.int64)
        self._values = np.full((capacity, len(self.channels)), np.nan)
        self._silent = [0] * len(self.channels)
        self._rows = self._count = 0
        self._cpu = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def series(self) -> Series:
        """A copy of what was sampled so far."""
        with self._lock:
            times, values = self._times[: self._count].copy(), self._values[: self._count].copy()
        keys, units = (tuple(getattr(c, name) for c in self.channels) for name in ("key", "unit"))
        return Series(keys, units, times, values)

    @property
    def cpu_seconds(self) -> float:
        """The processor time that sampling took, its cost to the run."""
        return self._cpu

    def energy(self, key: str, start_ns: int, stop_ns: int) -> Energy:
        """Return the energy of a channel over a stretch of time.perf_counter_ns; see Series.energy."""
        return self.series.energy(key, start_ns, stop_ns)

    def start(self) -> None:
        """Take a first sample and begin; when this returns, what follows is covered. Raises UsageError if begun."""
        if self._thread is not None:
            raise UsageError("this Sampler was begun before; make a new one for another run")
        self._thread = threading.Thread(target=self._run, name="vultus-telemetry", daemon=True)
        self._row()
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end. A sensor that hangs is left behind after 2 s."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def __enter__(self) -> Sampler:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        due = time.monotonic() + self._period
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self._row()
            due = max(due + self._period, time.monotonic())
        self._row()

    def _row(self) -> None:
        began, stamp = time.thread_time(), time.perf_counter_ns()
        values = [self._number(index) for index in range(len(self.channels))]
        self._rows += 1
        with self._lock:
            if self._count == len(self._times):
                self._thin_out()
            self._times[self._count], self._values[self._count] = stamp, values
            self._count += 1
        self._cpu += time.thread_time() - began

    def _thin_out(self) -> None:
        kept = (self._count + 1) // 2
        self._times[:kept] = self._times[: self._count : 2].copy()
        self._values[:kept] = self._values[: self._count : 2].copy()
        self._count, self._period = kept, self._period * 2

    def _number(self, index: int) -> float:
        if self._silent[index] >= SILENT and self._rows % AGAIN:
            return float("nan")
        try:
            value = self.channels[index].read()
        except Exception:  # a reader that someone else wrote must not end the run
            value = None
        self._silent[index] = self._silent[index] + 1 if value is None else 0
        return float("nan") if value is None else float(value)
