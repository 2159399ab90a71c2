"""Counters of what slows a machine down for a moment: over-current, under-voltage, heat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vultus.telemetry.files import children, integer, text

__all__ = ["EventCounter", "counter_files", "happened", "raised_alarms", "read_events"]

# The developer guide of Jetson Linux names the three lines of Orin and Thor so.
MEANINGS = {"oc1": "under-voltage", "oc2": "average over-current", "oc3": "instantaneous over-current"}


@dataclass(frozen=True)
class EventCounter:
    """Events since boot. throttles: whether such an event slows the clocks, None when not readable."""

    name: str
    meaning: str
    count: int | None
    throttles: bool | None = None


def read_events(root: Path = Path("/")) -> list[EventCounter]:
    """Return the counters below a root: over-current lines of a Jetson, thermal throttling of x86 processors."""
    return [*(_line(path) for path in counter_files(root)), *_processor(root / "sys/devices/system/cpu")]


def counter_files(root: Path) -> list[Path]:
    """Return the files of a Jetson's over-current counters."""
    chips = children(root / "sys/class/hwmon", "hwmon*", lambda path: text(path / "name") == "soctherm_oc")
    return [path for chip in chips for path in children(chip, "oc*_event_cnt")]


def _line(path: Path) -> EventCounter:
    name = path.name.removesuffix("_event_cnt")
    enabled = integer(path.with_name(f"{name}_throt_en"))
    throttles = None if enabled is None else bool(enabled)
    return EventCounter(name, MEANINGS.get(name, "over-current"), integer(path), throttles)


def _processor(folder: Path) -> list[EventCounter]:
    found = []
    for what in ("core", "package"):
        paths = children(folder, f"cpu[0-9]*/thermal_throttle/{what}_throttle_count")
        counts = [count for path in paths if (count := integer(path)) is not None]
        if counts:  # each core of a package repeats the package's counter
            total = sum(counts) if what == "core" else max(counts)
            found.append(EventCounter(f"cpu {what}", "thermal throttling", total, True))
    return found


def happened(before: Iterable[EventCounter], after: Sequence[EventCounter]) -> dict[str, int]:
    """Return how many events of each name came between two readings; those of none are left out."""
    old = {counter.name: counter.count for counter in before}
    news = {}
    for counter in after:
        was = old.get(counter.name)
        if counter.count is not None and was is not None and counter.count > was:
            news[counter.name] = counter.count - was
    return news


def raised_alarms(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the alarms that power monitors raise now, such as `VDD_IN crit`."""
    return tuple(
        f"{text(path.with_name(f'in{number}_label')) or f'channel {number}'} {kind}"
        for chip in children(root / "sys/class/hwmon", "hwmon*", _is_monitor)
        for path in children(chip, "curr[1-3]_*_alarm")
        for number, kind in [(path.name[4], path.name.split("_")[1])]
        if integer(path)
    )


def _is_monitor(chip: Path) -> bool:
    return (text(chip / "name") or "").startswith("ina")
