"""What is read beside a run, from a root that holds a board with known sensors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vultus.bench.beside import POINTS, Beside, fingerprint_here
from vultus.bench.record import Telemetry

POLICY = "sys/devices/system/cpu/cpufreq/policy0"
MONITOR = "sys/class/hwmon/hwmon1"


def put(root: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a made-up board: an INA3221 with an input and a part of it, a zone, a clock, a fan, a slow-down."""
    put(
        tmp_path,
        {
            f"{MONITOR}/name": "ina3221",
            f"{MONITOR}/in1_label": "VDD_IN",
            f"{MONITOR}/in1_input": 5000,
            f"{MONITOR}/curr1_input": 2000,
            f"{MONITOR}/in2_label": "VDD_CPU_GPU_CV",
            f"{MONITOR}/in2_input": 5000,
            f"{MONITOR}/curr2_input": 600,
            "sys/class/hwmon/hwmon2/name": "soctherm_oc",
            "sys/class/hwmon/hwmon2/oc1_event_cnt": 4,
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": 51500,
            "sys/class/thermal/cooling_device0/type": "pwm-fan",
            "sys/class/thermal/cooling_device0/max_state": 3,
            "sys/class/thermal/cooling_device0/cur_state": 2,
            "sys/class/thermal/cooling_device1/type": "cpufreq-cpu0",
            "sys/class/thermal/cooling_device1/max_state": 10,
            "sys/class/thermal/cooling_device1/cur_state": 0,
            f"{POLICY}/scaling_cur_freq": 1500000,
            f"{POLICY}/scaling_min_freq": 700000,
            f"{POLICY}/scaling_max_freq": 1500000,
            f"{POLICY}/scaling_governor": "schedutil",
            "proc/stat": "cpu  0 0 0 100 0 0 0 0 0 0",
            "proc/self/status": "VmRSS:\t    1024 kB",
        },
    )
    return tmp_path


def watched(root: Path, meanwhile: Callable[[], object] = lambda: None) -> Beside:
    """Return what was read beside half a second in whose middle something happens."""
    with Beside(root, hz=50.0) as beside:
        beside.begin()
        time.sleep(0.25)
        meanwhile()
        time.sleep(0.25)
        beside.end()
    return beside


def test_energy_is_that_of_the_boards_input(root: Path) -> None:
    found = watched(root).telemetry(frames=10)
    rails = {rail.name: rail for rail in found.rails}
    assert set(rails) == {"VDD_IN", "VDD_CPU_GPU_CV"}
    assert (rails["VDD_IN"].board, rails["VDD_CPU_GPU_CV"].board) == (True, False)
    assert rails["VDD_IN"].mean_watts == pytest.approx(10.0)
    assert rails["VDD_IN"].peak_watts == pytest.approx(10.0)
    assert found.energy is not None
    assert found.energy.rail == "VDD_IN"
    assert found.energy.joules_per_frame == pytest.approx(rails["VDD_IN"].joules / 10)
    assert 4.9 < rails["VDD_IN"].joules < 8.0, "10 W for half a second and what the machine was late"


def test_curves_have_names_units_and_times(root: Path) -> None:
    found = watched(root).telemetry(frames=1)
    (temperature,), (clock,) = found.temperatures, found.clocks
    assert (temperature.name, temperature.unit, set(temperature.values)) == ("cpu-thermal", "°C", {51.5})
    assert (clock.name, clock.unit, set(clock.values)) == ("policy0", "MHz", {1500.0})
    assert len(temperature.times_s) == len(temperature.values)
    assert 0 <= temperature.times_s[0] < temperature.times_s[-1]
    assert {curve.name for curve in found.power} == {"VDD_IN", "VDD_CPU_GPU_CV"}
    assert found.events == (), "a fan that turns slows nothing"


def test_resident_memory_is_read_through_the_run(root: Path) -> None:
    times, values = watched(root).memory
    assert len(times) == len(values) > 5
    assert set(values) == {2**20}
    assert times[0] >= 0
    assert (times[1:] > times[:-1]).all()


@pytest.mark.parametrize(
    ("change", "kind", "said", "count"),
    [
        ({"sys/class/hwmon/hwmon2/oc1_event_cnt": 7}, "over_current", "oc1", 3),
        ({"sys/class/thermal/cooling_device1/cur_state": 2}, "throttle", "cpufreq-cpu0", 1),
        (
            {f"{POLICY}/scaling_governor": "performance"},
            "governor",
            "policy0 from schedutil to performance",
            1,
        ),
        ({f"{POLICY}/scaling_max_freq": 900000}, "clock", "the limits of policy0", 1),
    ],
)
def test_what_happens_in_the_run_is_an_event(
    root: Path, change: dict[str, object], kind: str, said: str, count: int
) -> None:
    (event,) = watched(root, lambda: put(root, change)).events
    assert (event.kind, event.count) == (kind, count)
    assert said in event.name


def test_other_load_is_that_between_the_ends(root: Path) -> None:
    beside = watched(root, lambda: put(root, {"proc/stat": "cpu  9000 0 0 1100 0 0 0 0 0 0"}))
    assert beside.other_share == pytest.approx(0.9, abs=0.05)


def test_a_rail_that_vanishes_is_told_with_its_reason(root: Path) -> None:
    with Beside(root, hz=50.0) as beside:
        (root / MONITOR / "curr1_input").unlink()
        time.sleep(0.1)
        beside.begin()
        time.sleep(0.2)
        beside.end()
    found = beside.telemetry(frames=1)
    assert "power/VDD_IN" in found.unread
    assert found.unread["power/VDD_IN"]
    assert found.energy is not None
    assert found.energy.rail == "VDD_CPU_GPU_CV", "the energy names the rail that it is of"


def test_nothing_to_read_is_nothing_known(tmp_path: Path) -> None:
    beside = watched(tmp_path)
    found = beside.telemetry(frames=1)
    assert found.energy is None
    assert (found.rails, found.temperatures, found.events) == ((), (), ())
    assert isinstance(found, Telemetry)
    assert len(beside.memory[0]) == 0
    assert beside.other_share is None


def test_curves_are_thinned_to_a_bounded_number_of_points(root: Path) -> None:
    with Beside(root, hz=2000.0) as beside:
        beside.begin()
        time.sleep(1.2)
        beside.end()
    (curve,) = beside.telemetry(frames=1).temperatures
    assert len(curve.values) <= POINTS


def test_sampling_ends_with_the_run(root: Path) -> None:
    watched(root)
    assert [thread.name for thread in threading.enumerate() if thread.name == "vultus-telemetry"] == []


def test_the_fingerprint_is_plain_values(root: Path) -> None:
    found = fingerprint_here(root)
    assert found["clocks"][0]["governor"] == "schedutil"
    assert found["versions"]["python"]
    assert "hostname" not in found
