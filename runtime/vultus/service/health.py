"""Is it well? What the service and the first boot say of themselves, beside what the machine's sensors say."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from vultus.errors import SourceError
from vultus.service.firstboot import FirstBoot, read_firstboot
from vultus.service.places import Places, places
from vultus.service.status import STALE, Status, alive, read_status
from vultus.telemetry.health import State, states
from vultus.telemetry.machine import Readings, read_machine
from vultus.telemetry.nvml import Nvml
from vultus.words import counted

__all__ = ["health", "service_states"]


def health(root: Path = Path("/"), nvml: Nvml | None = None, now: float | None = None) -> tuple[State, ...]:
    """Return the state of service, first boot and machine below a root; now: seconds since 1970."""
    where, moment = places(root), time.time() if now is None else now
    found, status = service_states(where, moment)
    mode = status.wanted.power_mode if status else None
    machine = read_machine(root, nvml)
    return (*found, *states(machine, _ten_minutes_ago(machine, status), mode))


def _ten_minutes_ago(machine: Readings, status: Status | None) -> Readings | None:
    """Return the readings with the counts of events that the service kept; a board that began anew counts from 0."""
    if status is None:
        return None
    events = (
        replace(found, count=min(status.events[found.name], found.count))
        for found in machine.events
        if found.name in status.events and found.count is not None
    )
    return replace(machine, events=tuple(events))


def service_states(where: Places, now: float) -> tuple[tuple[State, ...], Status | None]:
    """Return the states of service and first boot, and the status that the service wrote last."""
    told, first = _first_boot(where)
    try:
        status = read_status(where.status)
    except SourceError as error:
        return (State(2, "service", str(error)), first), None
    if why := _gone(status, where, now):
        return (State(2, "service", why), first), status
    assert status is not None
    if status.waiting:
        building = told is not None and told.state in ("building", "importing", "selftest")
        return (State(1 if building else 2, "service", status.waiting), first), status
    warned = tuple(State(1, "service", text) for text in status.warnings)
    return (*(warned or (_running(status),)), first), status


def _running(status: Status) -> State:
    """Judge a service that warns of nothing."""
    slow = [f"{stage} on {ran}" for stage, ran in status.device.items() if "CPU" in ran]
    if status.wanted.device == "cuda" and slow:
        return State(1, "service", f"cuda was asked for, but it runs {' and '.join(slow)}")
    if status.state == "starting" and status.failures:
        times = counted(status.failures, "time")
        return State(
            2, "service", f"starts again, ended by itself {times} in a row; see journalctl -u vultus"
        )
    return State(1, "service", "is starting") if status.state == "starting" else State(0, "service")


def _gone(status: Status | None, where: Places, now: float) -> str:
    """Return why no service works here, empty when one does."""
    if status is None:
        return f"is not running: there is no {where.status}; systemctl start vultus"
    age = now - status.written
    if status.state == "stopping" and not alive(status.pid):
        if status.failures:
            times = counted(status.failures, "time")
            return "; ".join(
                [f"ended by itself, {times} in a row", *status.warnings, "see journalctl -u vultus"]
            )
        return "; ".join(["was stopped", *status.warnings]) + "; systemctl start vultus"
    if not alive(status.pid):
        return f"process {status.pid} is gone without a word; see journalctl -u vultus"
    if abs(age) > STALE:
        return f"said nothing for {age:.0f} s (process {status.pid} is there); see journalctl -u vultus"
    return "is stopping" if status.state == "stopping" else ""


def _first_boot(where: Places) -> tuple[FirstBoot | None, State]:
    try:
        told = read_firstboot(where.firstboot)
    except SourceError as error:
        return None, State(1, "first boot", str(error))
    if told is None or told.state == "ready":
        return told, State(0, "first boot")
    return told, State(1, "first boot", told.said)
