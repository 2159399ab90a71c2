"""The wall time of named stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopwatch"]


class Stopwatch:
    """Collects the wall time of named stages in milliseconds."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the stage `name`."""
        began = time.perf_counter_ns()
        try:
            yield
        finally:
            spent = (time.perf_counter_ns() - began) / 1e6
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + spent
