"""Clocks of processor, GPU and memory, with their limits and governors. Clocks are read here, never set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Clock"]


@dataclass(frozen=True)
class Clock:
    """One clock domain, in hertz; None for what is not readable.

    kind: `cpu` (one cpufreq policy), `gpu` or `memory`. lowest, highest: what the governor may choose now;
    limit: what the hardware allows. cores: those that the policy drives.
    """

    kind: Literal["cpu", "gpu", "memory"]
    name: str
    hertz: float | None
    lowest: float | None = None
    highest: float | None = None
    limit: float | None = None
    governor: str | None = None
    cores: str | None = None

    @property
    def locked(self) -> bool:
        """Whether the governor has no choice, as after jetson_clocks."""
        return self.lowest is not None and self.lowest == self.highest
