"""Counters of over-current and under-voltage events, each of which slows a Jetson down for a moment."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EventCounter"]


@dataclass(frozen=True)
class EventCounter:
    """Events since boot. throttles: whether such an event slows the clocks, None when not readable."""

    name: str
    meaning: str
    count: int | None
    throttles: bool | None = None
