"""GPUs by NVML: what it answers on a desktop, on Orin and on Thor, and what happens without it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from recorded_boards import DESKTOP, ORIN, THOR, RecordedNvml, unpack
from vultus.telemetry import Nvml, find_channels, read_machine
from vultus.telemetry.gpu import read_gpus


def test_desktop_gpu_tells_everything(tmp_path: Path) -> None:
    with Nvml(RecordedNvml(DESKTOP)) as nvml:
        (gpu,) = read_gpus(tmp_path, nvml)
    assert (gpu.name, gpu.source, gpu.capability) == ("NVIDIA GeForce RTX 4090", "nvml", "8.9")
    assert (gpu.load, gpu.hertz, gpu.highest, gpu.celsius) == (0.37, 2.52e9, 3.105e9, 61.0)
    assert (gpu.watts, gpu.watts_limit) == (201.25, 450.0)
    assert (gpu.memory_used, gpu.memory_total) == (1 << 30, 25757220864)
    assert gpu.throttled == ("software power cap",)


BITS = [
    (0x00, ()),
    (0x01, ()),  # idle
    (0x02, ()),  # clocks that the user set
    (0x28, ("hardware slowdown", "software thermal slowdown")),
    (0xC0, ("hardware thermal slowdown", "hardware power brake")),
]


@pytest.mark.parametrize(("bits", "expected"), BITS)
@pytest.mark.parametrize(
    "function", ["nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"]
)
def test_reasons_that_hold_clocks_down(bits: int, expected: tuple[str, ...], function: str) -> None:
    answers = {k: v for k, v in DESKTOP.items() if "Reasons" not in k}
    assert Nvml(RecordedNvml({**answers, function: bits})).throttled(0) == expected


def test_orin_takes_from_sysfs_what_nvml_refuses(tmp_path: Path) -> None:
    with Nvml(RecordedNvml(ORIN)) as nvml:
        (gpu,) = read_gpus(unpack("agx-orin-jp7", tmp_path), nvml)
        assert nvml.rails() == []
        assert (nvml.driver, nvml.cuda) == ("595.78", "13.2")
    assert (gpu.name, gpu.source, gpu.capability) == ("Orin (nvgpu)", "nvml+sysfs", "8.7")
    assert (gpu.hertz, gpu.load) == (1.3005e9, 0.0)
    assert gpu.celsius == pytest.approx(46.843)
    assert (gpu.watts, gpu.memory_total) == (None, None)


def test_thor_tells_its_load_by_nvml_and_its_clock_by_sysfs(tmp_path: Path) -> None:
    with Nvml(RecordedNvml(THOR)) as nvml:
        (gpu,) = read_gpus(unpack("agx-thor-jp7", tmp_path), nvml)
        assert nvml.driver == "580.00"
    assert (gpu.name, gpu.load, gpu.hertz, gpu.capability) == ("NVIDIA Thor", 0.98, 1.407e9, "11.0")


@pytest.mark.parametrize(
    ("lacking", "key"),
    [((), "energy/GPU 0 board"), (("nvmlDeviceGetTotalEnergyConsumption",), "power/GPU 0 board")],
)
def test_board_power_by_its_counter_or_by_its_reading(
    tmp_path: Path, lacking: tuple[str, ...], key: str
) -> None:
    library = RecordedNvml({k: v for k, v in DESKTOP.items() if k not in lacking})
    channel = next(c for c in find_channels(tmp_path, Nvml(library)) if c.source == "nvml")
    assert channel.key == key
    assert channel.read() == (0.0 if channel.unit == "J" else 201.25)
    library.answers["nvmlDeviceGetTotalEnergyConsumption"] = 5_250_000
    assert channel.read() == (250.0 if channel.unit == "J" else 201.25)


def test_gpu_that_falls_off_the_bus_is_none_from_then_on(tmp_path: Path) -> None:
    library = RecordedNvml(DESKTOP)
    channels = [c for c in find_channels(tmp_path, Nvml(library)) if c.source == "nvml"]
    assert {c.key for c in channels} == {
        "energy/GPU 0 board", "temperature/GPU 0", "clock/GPU 0", "load/GPU 0", "memory/GPU 0", "cooling/GPU 0",
    }  # fmt: skip
    library.answers.clear()
    assert {c.key: c.read() for c in channels if c.read() is not None} == {"cooling/GPU 0": 0.0}


class Refusing:
    def nvmlInit(self) -> None:
        raise RuntimeError("Driver Not Loaded")


def test_nvml_that_does_not_start_is_a_problem_and_no_error(tmp_path: Path) -> None:
    nvml = Nvml(Refusing())
    assert nvml.problem == "NVML does not start: Driver Not Loaded"
    assert (nvml.count, nvml.rails(), nvml.driver, read_machine(tmp_path, nvml).gpus) == (0, [], None, ())
    nvml.close()


def test_package_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert Nvml().problem == "the package nvidia-ml-py is not installed"


@pytest.mark.skipif(importlib.util.find_spec("pynvml") is None, reason="nvidia-ml-py is not installed")
def test_the_real_package_opens_or_says_why() -> None:
    with Nvml() as nvml:
        assert bool(nvml.count) != bool(nvml.problem)


def test_closing_ends_what_was_begun() -> None:
    library: Any = RecordedNvml(DESKTOP)
    with Nvml(library):
        assert library.open == 1
    assert library.open == 0
