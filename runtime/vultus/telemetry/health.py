"""What readings say of a machine's health: pure functions from readings to states."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["State", "worst"]

Level = Literal[0, 1, 2]


@dataclass(frozen=True)
class State:
    """The state of one thing. level: 0 well, 1 degraded, 2 down, which are also a probe's exit codes."""

    level: Level
    subject: str
    why: str = ""


def worst(states: Iterable[State]) -> Level:
    """Return the level of the worst state, 0 when there is none."""
    return max((state.level for state in states), default=0)
