"""Power rails by label: Jetson's INA3221 and INA238, other hwmon chips, RAPL.

Of a board's rails only some measure all that it draws, and adding others up counts power twice. So each rail says
what it covers, and `board_input` names the one that energy is integrated from, or says that there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Rail", "RailSource", "Scope"]

Scope = Literal["board", "module", "part"]


@dataclass(frozen=True)
class Rail:
    """One rail and what it carries now.

    source: the chip or interface (`ina3221`, `ina238`, `rapl`, `nvml`, another hwmon driver).
    scope: `board` draws through it with everything on it, `module` the system-on-module without its carrier,
    `part` only a part of it. watts: power, None when not readable. joules: reading of an energy counter, which
    says nothing by itself and is None for a rail that measures power. why: what hinders the reading.
    """

    name: str
    source: str
    scope: Scope
    watts: float | None = None
    joules: float | None = None
    why: str = ""


@dataclass(frozen=True)
class RailSource:
    """A rail that was found, and how it is read: watts, or joules since some moment when `counter`."""

    name: str
    source: str
    scope: Scope
    counter: bool
    read: Callable[[], float | None]
    why: Callable[[], str]

    def rail(self) -> Rail:
        """Return what the rail carries now."""
        value = self.read()
        why = "" if value is not None else self.why()
        watts, joules = (None, value) if self.counter else (value, None)
        return Rail(self.name, self.source, self.scope, watts, joules, why)
