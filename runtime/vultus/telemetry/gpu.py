"""The GPU: by NVML where its driver has it, else from sysfs as on Jetson."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Gpu"]


@dataclass(frozen=True)
class Gpu:
    """One GPU now; None for what is not readable.

    source: `nvml` or `sysfs`. load: share of time with work, 0 to 1. hertz: graphics clock. memory_used,
    memory_total: bytes; on a Jetson the host's memory, hence None. throttled: reasons that hold the clocks down now.
    """

    name: str
    source: str
    load: float | None = None
    hertz: float | None = None
    highest: float | None = None
    celsius: float | None = None
    watts: float | None = None
    watts_limit: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    capability: str | None = None
    throttled: tuple[str, ...] = ()
