"""How busy the machine is, and how much of that is this process: from /proc, without a package."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from vultus.telemetry.files import text

__all__ = ["BusyShare", "OwnShare", "memory", "rss"]

IDLE, IOWAIT = 3, 4  # of the fields of /proc/stat: user nice system idle iowait irq softirq steal
FIELDS = 8  # the two behind count guests' time, which user and nice hold already


class BusyShare:
    """Share of all cores' time, 0 to 1, in which some work ran since the last call; None at first.

    Beside our own share this shows load that is not ours. Time that a hypervisor stole counts as busy.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._path = root / "proc/stat"
        self._last: tuple[int, int] | None = None

    def __call__(self) -> float | None:
        """Return the share since the last call."""
        now = _ticks(self._path)
        last, self._last = self._last, now
        if now is None or last is None or now[1] <= last[1]:
            return None
        return min(1.0, max(0.0, (now[0] - last[0]) / (now[1] - last[1])))


def _ticks(path: Path) -> tuple[int, int] | None:
    line = (text(path) or "").partition("\n")[0].split()
    if len(line) < IOWAIT + 2 or line[0] != "cpu" or not all(field.isdigit() for field in line[1:]):
        return None
    fields = [int(field) for field in line[1 : FIELDS + 1]]
    total = sum(fields)
    return total - fields[IDLE] - fields[IOWAIT], total


class OwnShare:
    """Share of all cores' time, 0 to 1, that this process used since the last call; None at first."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._cores = os.cpu_count() or 1

    def __call__(self) -> float | None:
        """Return the share since the last call."""
        now = (time.process_time(), time.perf_counter())
        last, self._last = self._last, now
        if last is None or now[1] <= last[1]:
            return None
        return (now[0] - last[0]) / (now[1] - last[1]) / self._cores


def memory(root: Path = Path("/")) -> dict[str, int]:
    """Return /proc/meminfo by name (`MemTotal`, `MemAvailable`, ...), in bytes."""
    found = re.findall(r"^(\w+):\s+(\d+) kB", text(root / "proc/meminfo") or "", re.MULTILINE)
    return {name: int(kibibytes) * 1024 for name, kibibytes in found}


def rss(root: Path = Path("/")) -> int | None:
    """Return the resident memory of this process in bytes, None when not readable."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", text(root / "proc/self/status") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None
