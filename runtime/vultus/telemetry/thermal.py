"""Thermal zones, their trip points and what holds the clocks down."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cooler", "Trip", "Zone"]


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


@dataclass(frozen=True)
class Cooler:
    """A cooling device: a fan, or a part that is slowed down. state: 0 when it does nothing, up to `most`."""

    name: str
    state: int | None
    most: int | None
