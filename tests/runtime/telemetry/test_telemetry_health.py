"""Health: from readings to states, for probes."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded_boards import BOARDS, unpack
from vultus.telemetry import read_machine
from vultus.telemetry.board import Board, PowerMode
from vultus.telemetry.events import EventCounter
from vultus.telemetry.gpu import Gpu
from vultus.telemetry.health import (
    State,
    memory,
    over_current,
    power_mode,
    states,
    temperature,
    throttling,
    worst,
)
from vultus.telemetry.thermal import Cooler, Trip, Zone

TRIPS = (Trip("passive", 99.0), Trip("critical", 104.5), Trip("active", 40.0))
JETSON = Board(soc="tegra234", l4t="36.4.3")
HEAT = [
    ([Zone("cpu", 60.0, TRIPS)], JETSON, 0, ""),
    ([Zone("cpu", 99.0, TRIPS)], JETSON, 1, "cpu is at 99.0 °C and slows down from 99.0 °C"),
    ([Zone("cpu", 101.5, TRIPS)], JETSON, 2, "cpu is at 101.5 °C and switches off at 104.5 °C"),
    ([Zone("cpu", 99.5, TRIPS), Zone("gpu", 102.0, TRIPS)], JETSON, 2, "gpu is at 102.0 °C"),
    ([Zone("gpu", None, TRIPS, "EAGAIN"), Zone("cpu", 50.0, TRIPS)], JETSON, 0, ""),
    ([Zone("gpu", None, TRIPS, "EAGAIN")], JETSON, 1, "no thermal zone can be read"),
    ([], JETSON, 1, "no thermal zone can be read"),
    ([], Board(), 0, ""),
    ([Zone("x86_pkg_temp", 120.0)], Board(), 0, ""),
]


@pytest.mark.parametrize(("zones", "board", "level", "why"), HEAT)
def test_temperature(zones: list[Zone], board: Board, level: int, why: str) -> None:
    state = temperature(zones, board)
    assert state.level == level
    assert why in state.why
    assert bool(state.why) == bool(level)


COOLERS = [
    ("pwm-fan", 3, 0),
    ("TCC Offset", 5, 0),
    ("hot-surface-alert", 1, 0),
    ("intel_powerclamp", -1, 0),
    ("cpu-throttle-alert", None, 0),
    ("gpu-throttle-alert", 1, 1),
    ("devfreq-17000000.gpu", 4, 1),
    ("cpufreq-cpu0", 1, 1),
    ("Processor", 2, 1),
]


@pytest.mark.parametrize(("name", "count", "level"), COOLERS)
def test_throttling_by_cooling_devices(name: str, count: int | None, level: int) -> None:
    state = throttling([Cooler(name, count, 10)])
    assert state == State(level, "throttling", f"slowed down by {name}" if level else "")  # type: ignore[arg-type]


def test_throttling_by_nvml() -> None:
    state = throttling([], [Gpu("RTX", "nvml", throttled=("hardware slowdown", "hardware power brake"))])
    assert state.why == "slowed down by RTX: hardware slowdown, RTX: hardware power brake"


def counters(*counts: int | None) -> list[EventCounter]:
    meanings = ("under-voltage", "average over-current", "instantaneous over-current")
    rows = zip(counts, meanings, strict=True)
    return [EventCounter(f"oc{i}", meaning, count) for i, (count, meaning) in enumerate(rows, 1)]


EVENTS = [
    ((0, 0, 0), (0, 0, 0), ""),
    ((0, 15, 37), (0, 15, 37), ""),
    ((0, 15, 37), (0, 16, 40), "1x oc2 (average over-current), 3x oc3 (instantaneous over-current)"),
    ((0, None, 0), (0, 3, 0), ""),
    ((0, 5, 0), (0, 1, 0), ""),  # the board was started again
]


@pytest.mark.parametrize(("before", "after", "why"), EVENTS)
def test_events_count_from_the_earlier_reading(
    before: tuple[int | None, ...], after: tuple[int | None, ...], why: str
) -> None:
    assert over_current(counters(*before), counters(*after)) == State(1 if why else 0, "power events", why)


MODES = [
    (None, PowerMode(0, "15W"), 0, ""),
    ("15W", PowerMode(0, "15W"), 0, ""),
    ("MAXN", PowerMode(0, "15W"), 1, "MAXN is wanted, the board runs 15W; set it with nvpmodel"),
    ("MAXN", PowerMode(7, None), 1, "the board runs number 7, which"),
    ("MAXN", None, 1, "the board does not tell its mode"),
]


@pytest.mark.parametrize(("wanted", "mode", "level", "why"), MODES)
def test_power_mode(wanted: str | None, mode: PowerMode | None, level: int, why: str) -> None:
    state = power_mode(Board(mode=mode), wanted)
    assert state.level == level
    assert why in state.why


MEMORY = [
    ({}, 0),
    ({"MemTotal": 1000}, 0),
    ({"MemTotal": 8 << 30, "MemAvailable": 1 << 30}, 0),
    ({"MemTotal": 8 << 30, "MemAvailable": 300 << 20}, 1),
    ({"MemTotal": 8 << 30, "MemAvailable": 50 << 20}, 2),
]


@pytest.mark.parametrize(("told", "level"), MEMORY)
def test_memory(told: dict[str, int], level: int) -> None:
    assert memory(told).level == level


WHOLE = {"agx-thor-jp7": {"throttling"}, "orin-nx-jp6": {"power alarms"}}


@pytest.mark.parametrize("name", BOARDS)
def test_recorded_boards(tmp_path: Path, name: str) -> None:
    found = states(read_machine(unpack(name, tmp_path)))
    assert {state.subject for state in found if state.level} == WHOLE.get(name, set())
    assert worst(found) == (1 if name in WHOLE else 0)


def test_this_machine_can_be_judged() -> None:
    now = read_machine()
    assert len(states(now, now)) == 6
    assert worst([]) == 0
