"""What is read beside a run: power, temperatures, clocks, memory, and whatever happened to the machine meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.bench.load import load_now, other_share
from vultus.bench.record import Curve, Energy, Event, Rail, Telemetry
from vultus.telemetry.board import PowerMode, read_board
from vultus.telemetry.channels import Channel, find_channels
from vultus.telemetry.clocks import Clock, read_clocks
from vultus.telemetry.events import EventCounter, happened, read_events
from vultus.telemetry.fingerprint import fingerprint
from vultus.telemetry.nvml import Nvml
from vultus.telemetry.rails import RailSource, board_input, rail_sources
from vultus.telemetry.sampler import Sampler
from vultus.telemetry.series import Series
from vultus.telemetry.thermal import NO_THROTTLE

__all__ = ["POINTS", "Beside", "fingerprint_here"]

HZ = 5.0
POINTS = 600
"""The most points of a curve in a record."""

RESIDENT = "memory/self"
SCALES = {"Hz": ("MHz", 1e-6)}

Ns = npt.NDArray[np.int64]


def fingerprint_here(root: Path = Path("/")) -> dict[str, Any]:
    """Return the fingerprint of the machine as plain values."""
    import msgspec

    with Nvml() as nvml:
        found: dict[str, Any] = msgspec.to_builtins(fingerprint(root, nvml))
    return {**found, "versions": dict(found["versions"])}


@dataclass(frozen=True)
class _State:
    """What shall be the same after the run as before it, or is counted up in it."""

    counters: tuple[EventCounter, ...]
    clocks: tuple[Clock, ...]
    mode: PowerMode | None

    @classmethod
    def now(cls, root: Path) -> _State:
        return cls(tuple(read_events(root)), tuple(read_clocks(root)), read_board(root).mode)


class Beside:
    """Samples the machine below a root; a context manager around the measured part, whose ends it is told."""

    def __init__(self, root: Path = Path("/"), hz: float = HZ) -> None:
        self._root = root
        self._nvml = Nvml()
        self._channels = find_channels(root, self._nvml)
        self._rails: list[RailSource] = [*rail_sources(root), *self._nvml.rails()]
        self._sampler = Sampler(self._channels, hz)

    def __enter__(self) -> Beside:
        """Begin to sample."""
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End sampling."""
        self._sampler.stop()
        self._nvml.close()

    def begin(self) -> None:
        """Note that the measured part begins when this returns."""
        self._before = _State.now(self._root)
        self._load = load_now(self._root / "proc")
        self._began = time.perf_counter_ns()

    def end(self) -> None:
        """Note that the measured part ended when this was called."""
        self._ended = time.perf_counter_ns()
        self.other_share = other_share(self._load, load_now(self._root / "proc"))
        self._after = _State.now(self._root)

    @property
    def memory(self) -> tuple[Ns, Ns]:
        """Readings of resident memory in the measured part: (n,) ns since it began, (n,) bytes."""
        series = self._series()
        values = series.column(RESIDENT) if RESIDENT in series.keys else np.empty(0)
        there = np.isfinite(values)
        times = series.times[: len(values)][there] - self._began
        return times.astype(np.int64), values[there].astype(np.int64)

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that makes the figures those of another machine than the one that was asked."""
        return (*self._counted(), *self._slowed(), *self._changed())

    def telemetry(self, frames: int, prefer: str = "rapl") -> Telemetry:
        """Return what a record keeps. prefer: source of the rail for the energy where there is no board's input."""
        series = self._series()
        rails, unread = self._measured_rails()
        return Telemetry(
            rails=rails,
            energy=_energy(rails, frames, prefer),
            temperatures=tuple(self._curves(series, "temperature")),
            power=tuple(self._curves(series, "power")),
            clocks=tuple(self._curves(series, "clock")),
            events=self.events,
            unread={**self._silent(series), **unread},
        )

    def _series(self) -> Series:
        return self._sampler.series.within(self._began, self._ended)

    def _measured_rails(self) -> tuple[tuple[Rail, ...], dict[str, str]]:
        """Return every rail whose energy is known, and why the others' is not."""
        whole, main = self._sampler.series, board_input(self._rails)
        scopes = {rail.name: rail.scope for rail in self._rails}
        rails, unread = [], {}
        for channel in self._channels:
            if channel.kind not in ("power", "energy"):
                continue
            energy = whole.energy(channel.key, self._began, self._ended)
            if energy.joules is None or energy.watts is None:
                unread[channel.key] = channel.why() or energy.why
                continue
            peak = float(np.nanmax(whole.column(channel.key))) if channel.kind == "power" else None
            board, scope = main is not None and channel.name == main.name, scopes.get(channel.name, "part")
            rails.append(Rail(channel.name, channel.source, energy.joules, energy.watts, peak, board, scope))
        return tuple(rails), unread

    def _silent(self, series: Series) -> dict[str, str]:
        columns = {channel.key: series.column(channel.key) for channel in self._channels}
        silent = (channel for channel in self._channels if not np.isfinite(columns[channel.key]).any())
        return {channel.key: channel.why() or "nothing was read" for channel in silent}

    def _curves(self, series: Series, kind: str) -> Iterator[Curve]:
        for channel in self._channels:
            if channel.kind == kind:
                values = series.column(channel.key)
                there = np.flatnonzero(np.isfinite(values))
                if len(there):
                    yield self._curve(channel, series, values, there)

    def _curve(
        self, channel: Channel, series: Series, values: npt.NDArray[np.float64], there: npt.NDArray[np.intp]
    ) -> Curve:
        at = there[:: -(-len(there) // POINTS)]
        unit, factor = SCALES.get(channel.unit, (channel.unit, 1.0))
        seconds = (series.times[at] - self._began) / 1e9
        return Curve(
            channel.name,
            unit,
            tuple(round(float(value), 3) for value in seconds),
            tuple(round(float(value) * factor, 3) for value in values[at]),
        )

    def _counted(self) -> Iterator[Event]:
        meanings = {counter.name: counter.meaning for counter in self._after.counters}
        for name, count in happened(self._before.counters, self._after.counters).items():
            meaning = meanings[name]
            yield Event("throttle" if "throttl" in meaning else "over_current", f"{name}, {meaning}", count)

    def _slowed(self) -> Iterator[Event]:
        """Yield what held the clocks down: each time that a cooling device that slows began to."""
        series = self._series()
        for channel in self._channels:
            if channel.kind == "cooling" and not NO_THROTTLE.fullmatch(channel.name):
                slowing = np.nan_to_num(series.column(channel.key)) > 0
                times = int(np.count_nonzero(np.diff(slowing.astype(np.int8), prepend=0) > 0))
                if times:
                    yield Event("throttle", channel.name, times)

    def _changed(self) -> Iterator[Event]:
        if self._before.mode != self._after.mode:
            yield Event("power_mode", f"{_mode(self._before.mode)} to {_mode(self._after.mode)}", 1)
        old = {clock.name: clock for clock in self._before.clocks}
        for clock in self._after.clocks:
            was = old.get(clock.name, clock)
            if was.governor != clock.governor:
                yield Event("governor", f"{clock.name} from {was.governor} to {clock.governor}", 1)
            if (was.lowest, was.highest) != (clock.lowest, clock.highest):
                yield Event("clock", f"the limits of {clock.name}", 1)


def _energy(rails: tuple[Rail, ...], frames: int, prefer: str) -> Energy | None:
    """Return the energy of a frame on the rail that all power passes through, else on the first preferred one."""
    order = (
        *(rail for rail in rails if rail.board),
        *(rail for rail in rails if rail.source == prefer),
        *rails,
    )
    if not order or not frames:
        return None
    return Energy(order[0].name, order[0].joules / frames)


def _mode(mode: PowerMode | None) -> str:
    return "unknown" if mode is None else mode.name or str(mode.id)
