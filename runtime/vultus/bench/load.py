"""What a process knows of itself without any sensor: its memory, and what others do to the processor."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Load", "load_now", "other_share", "peak_resident"]

PROC = Path("/proc")


@dataclass(frozen=True)
class Load:
    """Processor time since boot over all cores, in ticks; own: of this process and its finished children."""

    busy: float
    total: float
    own: float


def load_now(proc: Path = PROC) -> Load | None:
    """Return the processor's time so far, None where the system does not tell."""
    try:
        fields = (proc / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        # guest time is part of user time already, so what follows steal is left out
        user, nice, system, idle, iowait, irq, softirq, steal = (float(field) for field in fields[1:9])
    except (OSError, ValueError):
        return None
    busy = user + nice + system + irq + softirq + steal
    spent = os.times()
    own = spent.user + spent.system + spent.children_user + spent.children_system
    return Load(busy, busy + idle + iowait, own * os.sysconf("SC_CLK_TCK"))


def other_share(before: Load | None, after: Load | None) -> float | None:
    """Return the share of the processor, all cores together, that was busy with other work than this process's."""
    if before is None or after is None or after.total <= before.total:
        return None
    other = (after.busy - before.busy) - (after.own - before.own)
    return min(max(other / (after.total - before.total), 0.0), 1.0)


def peak_resident(process: int | None = None) -> int | None:
    """Return the most memory of a process, this one for None, that was ever resident, VmHWM, in bytes."""
    try:
        lines = (
            (PROC / str(process or "self") / "status")
            .read_text(encoding="ascii", errors="replace")
            .splitlines()
        )
    except OSError:
        return None
    named = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return next((int(kilobytes) * 1024 for kilobytes in named), None)
