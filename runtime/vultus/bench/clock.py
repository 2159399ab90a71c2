"""Time as the loops of a benchmark see it, so that tests can give them another."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]

SPIN = 200_000
"""Nanoseconds before a deadline that are waited for awake: a sleep ends that much late at worst on a quiet machine."""


class Clock(Protocol):
    """Nanoseconds that only grow, and a way to wait for one of them."""

    def now(self) -> int:
        """Return the time in ns."""
        ...

    def wait_until(self, deadline: int) -> None:
        """Return at `deadline`, at once when it is past."""
        ...


class SystemClock:
    """The clock of the system, in ns of `time.perf_counter_ns`."""

    def now(self) -> int:
        """Return the time in ns."""
        return time.perf_counter_ns()

    def wait_until(self, deadline: int) -> None:
        """Sleep until shortly before the deadline, then spin."""
        remaining = deadline - self.now()
        if remaining > SPIN:
            time.sleep((remaining - SPIN) / 1e9)
        while self.now() < deadline:
            pass
