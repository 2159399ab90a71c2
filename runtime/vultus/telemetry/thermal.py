"""Thermal zones, their trip points and what holds the clocks down."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vultus.telemetry.files import children, integer, reason, scaled, text

__all__ = ["Cooler", "Trip", "Zone", "read_coolers", "read_zones", "throttled", "zone_celsius", "zone_reason"]

# Fans cool without slowing anything; the others are settings or warnings in the shape of a cooling device.
NO_THROTTLE = re.compile(r".*fan.*|tcc offset|hot-surface-alert|lcd|.*backlight.*", re.IGNORECASE)

OFF = -200.0


@dataclass(frozen=True)
class Trip:
    """A temperature at which something happens: `active` fan, `passive` slowing down, `hot`, `critical` shutdown."""

    kind: str
    celsius: float


@dataclass(frozen=True)
class Zone:
    """One thermal zone. celsius: None when not readable, as a GPU's is while it is switched off; `why` says so."""

    name: str
    celsius: float | None
    trips: tuple[Trip, ...] = ()
    why: str = ""

    def trip(self, *kinds: str) -> float | None:
        """Return the lowest trip point of these kinds, None when there is none."""
        return min((trip.celsius for trip in self.trips if trip.kind in kinds), default=None)


@dataclass(frozen=True)
class Cooler:
    """A cooling device: a fan, or a part that is slowed down. state: 0 when it does nothing, up to `most`."""

    name: str
    state: int | None
    most: int | None

    @property
    def slows(self) -> bool:
        """Whether it slows something down now."""
        return (self.state or 0) > 0 and not NO_THROTTLE.fullmatch(self.name)


def read_zones(root: Path = Path("/")) -> list[Zone]:
    """Return the thermal zones below a root."""
    return [_zone(folder) for folder in children(root / "sys/class/thermal", "thermal_zone*")]


def _zone(folder: Path) -> Zone:
    path = folder / "temp"
    celsius = zone_celsius(path)
    return Zone(
        text(folder / "type") or folder.name,
        celsius,
        _trips(folder),
        "" if celsius is not None else zone_reason(path),
    )


def zone_celsius(path: Path) -> float | None:
    """Return the temperature in a zone's file; Orin's sensors tell -256 °C while their part is switched off."""
    celsius = scaled(path, 1e-3)
    return None if celsius is None or celsius <= OFF else celsius


def zone_reason(path: Path) -> str:
    """Return why a zone tells no temperature."""
    return reason(path) or "its part is switched off"


def _trips(folder: Path) -> tuple[Trip, ...]:
    trips = []
    for path in children(folder, "trip_point_*_temp"):
        celsius = scaled(path, 1e-3)
        kind = text(path.with_name(path.name.replace("_temp", "_type")))
        if celsius is not None and celsius > 0 and kind:  # an unused one stands at -274 °C
            trips.append(Trip(kind, celsius))
    return tuple(trips)


def read_coolers(root: Path = Path("/")) -> list[Cooler]:
    """Return the cooling devices below a root."""
    return [
        Cooler(text(path / "type") or path.name, integer(path / "cur_state"), integer(path / "max_state"))
        for path in children(root / "sys/class/thermal", "cooling_device*")
    ]


def throttled(coolers: Iterable[Cooler]) -> tuple[str, ...]:
    """Return the names of the cooling devices that slow something down now."""
    return tuple(cooler.name for cooler in coolers if cooler.slows)
