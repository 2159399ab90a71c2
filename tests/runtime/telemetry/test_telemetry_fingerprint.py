"""The fingerprint names the machine and nobody's."""

from __future__ import annotations

import getpass
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import pytest

from recorded_boards import BOARDS, DESKTOP, RecordedNvml, unpack
from vultus.telemetry import Nvml
from vultus.telemetry.fingerprint import fingerprint


def test_jetson(tmp_path: Path) -> None:
    found = fingerprint(unpack("orin-nano-jp6", tmp_path))
    assert (found.cpu, found.architecture, found.cores, found.pinned) == (
        "Cortex-A78AE",
        "aarch64",
        "0-5",
        "0-5",
    )
    assert (found.gpus, found.compute_capability) == (("17000000.gpu",), "8.7")
    assert (found.kernel, found.system) == ("5.15.148-tegra", "Ubuntu 22.04.5 LTS")
    assert found.memory == 7802752 * 1024
    assert found.board.part_number == "699-13767-0005-300"
    assert found.governors == ("nvhost_podgov", "schedutil")
    assert dict(found.versions)["libnvinfer"] == "10.3.0.30-1+cuda12.5"


def test_desktop_with_nvml(tmp_path: Path) -> None:
    with Nvml(RecordedNvml(DESKTOP)) as nvml:
        found = fingerprint(unpack("desktop-nvml", tmp_path), nvml)
    assert found.cpu == "13th Gen Intel(R) Core(TM) i7-13700"
    assert (found.pinned, found.quota) == ("2-5", 3.5)
    assert (found.gpus, found.compute_capability) == (("NVIDIA GeForce RTX 4090",), "8.9")
    assert (found.driver, found.cuda, found.toolkit) == ("580.95.05", "13.0", "13.0.1")


def test_driver_is_told_without_nvml(tmp_path: Path) -> None:
    found = fingerprint(unpack("desktop-nvml", tmp_path))
    assert (found.driver, found.cuda, found.gpus) == ("580.95.05", None, ())


def test_thor(tmp_path: Path) -> None:
    found = fingerprint(unpack("agx-thor-jp7", tmp_path))
    assert (found.cpu, found.compute_capability) == ("Neoverse-V3AE", "11.0")


def test_nothing_there_is_none(tmp_path: Path) -> None:
    found = fingerprint(tmp_path)
    assert (found.cpu, found.cores, found.memory, found.kernel, found.quota, found.clocks) == (
        None, None, None, None, None, (),
    )  # fmt: skip
    assert dict(found.versions)["python"] == platform.python_version()


def test_unknown_arm_core_keeps_its_number(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("CPU part\t: 0xabc\nCPU part\t: 0xd42\n")
    assert fingerprint(tmp_path).cpu == "ARM part 0xabc + Cortex-A78AE"


def test_two_readings_of_a_machine_are_equal(tmp_path: Path) -> None:
    """What changes from moment to moment is no part of a fingerprint."""
    root = unpack("agx-orin-jp6", tmp_path)
    before = fingerprint(root)
    (root / "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq").write_text("115200\n")
    (root / "sys/class/devfreq/17000000.gpu/cur_freq").write_text("306000000\n")
    assert fingerprint(root) == before


@pytest.mark.parametrize("name", BOARDS)
def test_no_path_in_a_recorded_fingerprint(tmp_path: Path, name: str) -> None:
    said = json.dumps(asdict(fingerprint(unpack(name, tmp_path))))
    assert str(tmp_path) not in said
    assert "/" not in said


def test_no_host_user_or_path_in_the_real_one() -> None:
    said = json.dumps(asdict(fingerprint()))
    found = fingerprint()
    private = [platform.node(), str(Path.home()), os.getcwd()]
    if getpass.getuser() != "root":
        private.append(getpass.getuser())
    assert [word for word in private if len(word) > 3 and word in said] == []
    assert found.memory
    assert dict(found.versions)["numpy"]
