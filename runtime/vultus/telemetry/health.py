"""What readings say of a machine's health: pure functions from readings to states.

Slower than it could be is degraded; about to switch itself off is down. What cannot be read is no fault of its own:
a sensor that sleeps with its part is well, and only a board that should tell its temperature and tells none is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from vultus.telemetry.board import Board
from vultus.telemetry.events import EventCounter, happened
from vultus.telemetry.gpu import Gpu
from vultus.telemetry.machine import Readings
from vultus.telemetry.thermal import Cooler, Zone, throttled

__all__ = [
    "Level",
    "State",
    "alarms",
    "memory",
    "over_current",
    "power_mode",
    "states",
    "temperature",
    "throttling",
    "worst",
]

Level = Literal[0, 1, 2]
CRITICAL_MARGIN = 3.0  # °C below the temperature at which the board switches itself off
LOW_MEMORY, NO_MEMORY = 0.05, 0.01  # shares of memory that are still available


@dataclass(frozen=True)
class State:
    """The state of one thing. level: 0 well, 1 degraded, 2 down, which are also a probe's exit codes."""

    level: Level
    subject: str
    why: str = ""


def worst(found: Iterable[State]) -> Level:
    """Return the level of the worst state, 0 when there is none."""
    return max((state.level for state in found), default=0)


def states(
    now: Readings, before: Readings | None = None, wanted_mode: str | None = None
) -> tuple[State, ...]:
    """Return the state of all that readings tell; events count from `before`, not at all without it."""
    return (
        temperature(now.zones, now.board),
        throttling(now.coolers, now.gpus),
        over_current(before.events if before else now.events, now.events),
        alarms(now.alarms),
        power_mode(now.board, wanted_mode),
        memory(dict(now.memory)),
    )


def temperature(zones: Sequence[Zone], board: Board) -> State:
    """Judge the zones by their own trip points: near `critical` is down, above `passive` or `hot` is degraded."""
    subject, hot = "temperature", []
    for zone in zones:
        critical, slow = zone.trip("critical"), zone.trip("passive", "hot")
        if zone.celsius is not None and critical is not None and zone.celsius >= critical - CRITICAL_MARGIN:
            return State(
                2, subject, f"{zone.name} is at {zone.celsius:.1f} °C and switches off at {critical:.1f} °C"
            )
        if zone.celsius is not None and slow is not None and zone.celsius >= slow:
            hot.append(f"{zone.name} is at {zone.celsius:.1f} °C and slows down from {slow:.1f} °C")
    if hot:
        return State(1, subject, "; ".join(hot))
    if board.jetson and all(zone.celsius is None for zone in zones):
        return State(1, subject, "no thermal zone can be read, though a Jetson has some")
    return State(0, subject)


def throttling(coolers: Iterable[Cooler], gpus: Iterable[Gpu] = ()) -> State:
    """Tell what holds clocks down now, by cooling devices and by NVML."""
    reasons = [*throttled(coolers), *(f"{gpu.name}: {why}" for gpu in gpus for why in gpu.throttled)]
    return (
        State(1, "throttling", f"slowed down by {', '.join(reasons)}") if reasons else State(0, "throttling")
    )


def over_current(before: Iterable[EventCounter], after: Sequence[EventCounter]) -> State:
    """Tell which events came between two readings of their counters."""
    meaning = {counter.name: counter.meaning for counter in after}
    news = [f"{count}x {name} ({meaning[name]})" for name, count in happened(before, after).items()]
    return State(1, "power events", ", ".join(news)) if news else State(0, "power events")


def alarms(raised: Sequence[str]) -> State:
    """Tell which alarms of power monitors are raised."""
    return State(1, "power alarms", f"raised: {', '.join(raised)}") if raised else State(0, "power alarms")


def power_mode(board: Board, wanted: str | None) -> State:
    """Compare the power mode with the one that is wanted, by name; nothing is wanted when None."""
    subject = "power mode"
    if wanted is None or (board.mode is not None and board.mode.name == wanted):
        return State(0, subject)
    if board.mode is None:
        return State(1, subject, f"{wanted} is wanted; the board does not tell its mode")
    found = board.mode.name or f"number {board.mode.id}, which /etc/nvpmodel.conf does not name"
    return State(1, subject, f"{wanted} is wanted, the board runs {found}; set it with nvpmodel")


def memory(bytes_by_name: dict[str, int]) -> State:
    """Judge what memory is available, by /proc/meminfo; a Jetson's GPU lives in it too."""
    total, available = bytes_by_name.get("MemTotal"), bytes_by_name.get("MemAvailable")
    if not total or available is None or available >= LOW_MEMORY * total:
        return State(0, "memory")
    said = f"{available >> 20} of {total >> 20} MiB are available"
    return State(2 if available < NO_MEMORY * total else 1, "memory", said)
