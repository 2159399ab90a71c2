"""status.json: what the running service says of itself, at most once a second; `vultus health` reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vultus.service.files import read_json, write_json

__all__ = ["STALE", "ServiceState", "Status", "Wanted", "alive", "read_status", "write_status"]

STALE = 15.0
"""Seconds after which a status that is not renewed means that the service hangs or is gone."""

ServiceState = Literal["starting", "running", "degraded", "stopping"]


@dataclass(frozen=True)
class Wanted:
    """What the configuration asks for, as far as `vultus health` needs it; the service judges the rest itself."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    power_mode: str | None = None


@dataclass(frozen=True)
class Status:
    """What the service says of itself.

    started, written, last_frame: seconds since 1970. frames: analysed; dropped: replaced by a newer one before
    they were; faces: found in all of them. fps: analysed frames a second of late. device: what really runs each
    stage. waiting: why nothing is analysed yet, empty when it is. warnings: what is not as it should be, one
    clause each. config: SHA-256 of the configuration in use. engines: the slot of the engines in use, None where
    models run without. events: counts of over-current and throttling ten minutes ago, by name. failures: how often in
    a row, up to now, it ended without being asked to; 0 after ten minutes.
    """

    state: ServiceState
    pid: int
    started: float
    written: float
    frames: int = 0
    dropped: int = 0
    faces: int = 0
    last_frame: float | None = None
    fps: float = 0.0
    device: dict[str, str] = field(default_factory=dict)
    waiting: str = ""
    warnings: tuple[str, ...] = ()
    config: str = ""
    engines: str | None = None
    events: dict[str, int] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)
    failures: int = 0
    schema: Literal[1] = 1


def read_status(path: Path) -> Status | None:
    """Return what the service said last, None when there is nothing; raises SourceError for a broken file."""
    return read_json(path, Status)


def write_status(path: Path, status: Status) -> None:
    """Put it in its place whole; it need not survive a loss of power. Raises SinkError when that fails."""
    write_json(path, status, lasting=False)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and whose parent never asks, as in some containers, does not."""
    try:
        # The name before the state stands in brackets and may hold any of them.
        if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2][
            :1
        ] in ("Z", "X"):
            return False
    except OSError:  # no /proc, or hidden
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
