"""What is sampled beside a run: every sensor that was found, as a named channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["UNITS", "Channel", "Kind"]

Kind = Literal["power", "energy", "temperature", "clock", "load", "events", "cooling", "memory"]
UNITS: dict[Kind, str] = {
    "power": "W",
    "energy": "J",
    "temperature": "°C",
    "clock": "Hz",
    "load": "1",
    "events": "1",
    "cooling": "1",
    "memory": "B",
}


@dataclass(frozen=True)
class Channel:
    """One quantity and how it is read: a number in the unit of its kind, None when not readable at the moment."""

    kind: Kind
    name: str
    source: str
    read: Callable[[], float | None]

    @property
    def key(self) -> str:
        """Kind and name, which are unique together: `power/VDD_IN`."""
        return f"{self.kind}/{self.name}"

    @property
    def unit(self) -> str:
        """The unit of its values."""
        return UNITS[self.kind]
