"""What the readers make of whole boards: rails, zones, clocks, events, names."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded_boards import BOARDS, manifest, unpack
from vultus.telemetry import board_input, find_channels, rail_sources, read_machine, read_rails
from vultus.telemetry.board import PowerMode
from vultus.telemetry.clocks import read_clocks
from vultus.telemetry.events import happened
from vultus.telemetry.files import children
from vultus.telemetry.gpu import read_gpus

AGX_SUM = "VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0"
THOR_SUM = "VDD_GPU+VDD_CPU_SOC_MSS+VIN_SYS_5V0"
RAILS = [
    ("orin-nano-jp6", "VDD_IN", "module", 4.665, ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]),
    ("orin-nano-jp7", "VDD_IN", "module", 4.785, ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]),
    ("orin-nx-jp6", "VDD_IN", "module", 4.317, ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]),
    (
        "agx-orin-jp6",
        AGX_SUM,
        "module",
        3.157 + 14.313 + 4.968,
        ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO", AGX_SUM],
    ),
    (
        "agx-orin-jp7",
        AGX_SUM,
        "module",
        3.589 + 0.789 + 5.147,
        ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO", AGX_SUM],
    ),
    (
        "agx-thor-jp7",
        "VIN",
        "board",
        80.0,
        ["VIN", "VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0", THOR_SUM],
    ),
    (
        "agx-thor-idle-jp7",
        THOR_SUM,
        "module",
        -0.397 + 3.925 + 5.063,
        ["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0", THOR_SUM],
    ),
]


@pytest.mark.parametrize(("name", "board", "scope", "watts", "names"), RAILS, ids=[row[0] for row in RAILS])
def test_rails_of_a_board_and_the_one_that_measures_its_input(
    tmp_path: Path, name: str, board: str, scope: str, watts: float, names: list[str]
) -> None:
    rails = read_rails(unpack(name, tmp_path))
    assert [rail.name for rail in rails] == names
    rail = board_input(rails)
    assert rail is not None
    assert (rail.name, rail.scope) == (board, scope)
    assert rail.watts == pytest.approx(watts, abs=2e-3)
    assert not any(other.why for other in rails)


def test_desktop_has_counters_of_energy_and_no_input(tmp_path: Path) -> None:
    root = unpack("desktop-nvml", tmp_path)
    rails = {rail.name: rail for rail in read_rails(root)}
    assert list(rails) == ["PPT", "package-0", "package-0 core", "package-0 uncore", "psys"]
    assert rails["PPT"].watts == pytest.approx(21.0)
    assert (rails["package-0"].watts, rails["package-0"].joules) == (None, 0.0)
    assert board_input(rails.values()) is None


def test_counter_of_energy_counts_from_its_first_reading_and_over_its_end(tmp_path: Path) -> None:
    root = unpack("desktop-nvml", tmp_path)
    zone = root / "sys/class/powercap/intel-rapl:0"
    rail = next(rail for rail in rail_sources(root) if rail.name == "package-0")
    readings = [rail.read()]
    for microjoules in (112_500_000, 262_143_328_850, 499_999):
        (zone / "energy_uj").write_text(f"{microjoules}\n")
        readings.append(rail.read())
    assert readings == pytest.approx([0.0, 1.5, 262_032.328850, 262_032.828849], rel=0, abs=2e-7)


def test_counter_that_is_for_root_alone_says_so(tmp_path: Path) -> None:
    root = unpack("desktop-nvml", tmp_path)
    path = root / "sys/class/powercap/intel-rapl:0/energy_uj"
    path.unlink()
    path.mkdir()
    rail = next(rail for rail in read_rails(root) if rail.name == "package-0")
    assert (rail.joules, rail.why) == (None, "Is a directory")


def test_channel_that_is_switched_off_is_no_rail(tmp_path: Path) -> None:
    root = unpack("orin-nano-jp6", tmp_path)
    (root / "sys/class/hwmon/hwmon1/in2_enable").write_text("0\n")
    assert [rail.name for rail in read_rails(root)] == ["VDD_IN", "VDD_SOC"]


def test_sum_is_not_readable_when_a_part_of_it_is_not(tmp_path: Path) -> None:
    root = unpack("agx-orin-jp6", tmp_path)
    chip = children(root / "sys/class/hwmon", "hwmon*", lambda path: (path / "in3_label").exists())[0]
    (chip / "curr2_input").unlink()
    (chip / "curr2_input").mkdir()
    rail = board_input(read_rails(root))
    assert rail is not None
    assert (rail.watts, rail.why) == (None, "VDD_CPU_CV: Is a directory")


BOARD_NAMES = [
    ("orin-nano-jp6", "tegra234", "699-13767-0005-300", "36.4.3", "6.2+b77", PowerMode(2, "MAXN_SUPER"), 4),
    ("orin-nano-jp7", "tegra234", "699-13767-0005-301", "39.2.1", "7.2.1", PowerMode(1, "25W"), 4),
    ("orin-nx-jp6", "tegra234", "699-13767-0000-301", "36.5.0", None, PowerMode(3, "25W"), 4),
    ("agx-orin-jp6", "tegra234", "699-13701-0005-500", "36.4.7", "6.2.1+b38", PowerMode(0, "MAXN"), 4),
    ("agx-orin-jp7", "tegra234", "p3701-0005", "39.2.1", "7.2.1", PowerMode(0, "MAXN"), 4),
    ("agx-thor-jp7", "tegra264", "699-13834-0008-400", "38.4.0", "7.1-b69", PowerMode(0, "MAXN"), 4),
    ("agx-thor-idle-jp7", "tegra264", "p3834-0008", "39.2.0", "7.2", PowerMode(1, "120W"), 4),
    ("desktop-nvml", None, None, None, None, None, 0),
]


@pytest.mark.parametrize("expected", BOARD_NAMES, ids=[row[0] for row in BOARD_NAMES])
def test_board_says_what_it_is(tmp_path: Path, expected: tuple[object, ...]) -> None:
    board = read_machine(unpack(str(expected[0]), tmp_path)).board
    found = (board.soc, board.part_number, board.l4t, board.jetpack, board.mode, len(board.modes))
    assert found == expected[1:]
    assert board.jetson == (expected[1] is not None)


def test_all_boards_have_a_row() -> None:
    assert sorted(row[0] for row in BOARD_NAMES) == list(BOARDS)


def test_mode_without_a_name_keeps_its_number_and_comments_name_none(tmp_path: Path) -> None:
    root = unpack("orin-nano-jp6", tmp_path)
    (root / "var/lib/nvpmodel/status").write_text("pmode:0009 fmode:quiet\n")
    assert read_machine(root).board.mode == PowerMode(9, None)


CLOCKS = [
    ("orin-nano-jp6", ["policy0", "policy4", "17000000.gpu"], [], 1_020_000_000.0),
    ("orin-nano-jp7", ["policy0", "policy4", "17000000.gpu", "bwmgr"], [], 918_000_000.0),
    ("orin-nx-jp6", ["policy0", "policy4", "17000000.gpu"], [], 408_000_000.0),
    ("agx-orin-jp6", ["policy0", "policy4", "policy8", "17000000.gpu", "emc"], [], 1_300_500_000.0),
    (
        "agx-orin-jp7",
        ["policy0", "policy4", "policy8", "17000000.gpu", "bwmgr"],
        ["policy0", "policy4", "policy8", "17000000.gpu", "bwmgr"],
        1_300_500_000.0,
    ),
    ("agx-thor-jp7", ["policy0", "gpu-gpc-0", "gpu-nvd-0", "bwmgr"], [], 1_575_000_000.0),
    ("desktop-nvml", ["policy0", "policy1"], [], None),
]


@pytest.mark.parametrize(("name", "names", "locked", "gpu"), CLOCKS, ids=[row[0] for row in CLOCKS])
def test_clocks_with_their_limits_and_those_that_are_locked(
    tmp_path: Path, name: str, names: list[str], locked: list[str], gpu: float | None
) -> None:
    clocks = read_clocks(unpack(name, tmp_path))
    assert [clock.name for clock in clocks] == names
    assert [clock.name for clock in clocks if clock.locked] == locked
    assert next((clock.highest for clock in clocks if clock.kind == "gpu"), None) == gpu
    assert all(clock.hertz for clock in clocks)


def test_clock_of_a_policy_in_hertz_with_governor_and_cores(tmp_path: Path) -> None:
    clock = read_clocks(unpack("orin-nano-jp6", tmp_path))[0]
    assert (clock.hertz, clock.lowest, clock.highest, clock.limit) == (1.0368e9, 7.296e8, 1.728e9, 1.728e9)
    assert (clock.governor, clock.cores) == ("schedutil", "0 1 2 3")
    nx = read_clocks(unpack("orin-nx-jp6", tmp_path / "nx"))[-1]
    assert (nx.highest, nx.limit) == (408e6, 918e6)


def test_zones_that_sleep_are_not_readable_and_say_why(tmp_path: Path) -> None:
    nano = {zone.name: zone for zone in read_machine(unpack("orin-nano-jp6", tmp_path / "a")).zones}
    assert (nano["cv0-thermal"].celsius, nano["cv0-thermal"].why) == (None, "Is a directory")
    assert nano["tj-thermal"].celsius == pytest.approx(50.218)
    assert nano["cpu-thermal"].trip("passive") == 99.0
    assert nano["cpu-thermal"].trip("critical") == 104.5
    nx = {zone.name: zone for zone in read_machine(unpack("orin-nx-jp6", tmp_path / "b")).zones}
    assert (nx["cv0-thermal"].celsius, nx["cv0-thermal"].why) == (None, "its part is switched off")


def test_unused_trip_points_are_none(tmp_path: Path) -> None:
    zones = {zone.name: zone for zone in read_machine(unpack("desktop-nvml", tmp_path)).zones}
    assert zones["x86_pkg_temp"].trips == ()
    assert zones["acpitz"].trip("critical") == 105.0


def test_events_of_a_jetson_and_of_an_x86_processor(tmp_path: Path) -> None:
    nx = read_machine(unpack("orin-nx-jp6", tmp_path / "a"))
    assert [(e.name, e.meaning, e.count, e.throttles) for e in nx.events] == [
        ("oc1", "under-voltage", 0, True),
        ("oc2", "average over-current", 15, True),
        ("oc3", "instantaneous over-current", 37, True),
    ]
    assert nx.alarms == ("VDD_IN crit",)
    desktop = read_machine(unpack("desktop-nvml", tmp_path / "b"))
    assert [(e.name, e.count) for e in desktop.events] == [("cpu core", 5), ("cpu package", 7)]
    assert desktop.alarms == ()
    assert happened(nx.events, nx.events) == {}


@pytest.mark.parametrize("name", BOARDS)
def test_channels_have_unique_keys_and_numbers_or_reasons(tmp_path: Path, name: str) -> None:
    channels = find_channels(unpack(name, tmp_path))
    assert len({channel.key for channel in channels}) == len(channels)
    for channel in channels:
        first = channel.key in ("load/cpu", "load/self")  # rates, which want two readings
        assert channel.read() is not None or channel.why() or first, channel.key


def test_gpu_of_a_jetson_from_sysfs(tmp_path: Path) -> None:
    (gpu,) = read_gpus(unpack("orin-nano-jp6", tmp_path))
    assert (gpu.name, gpu.source, gpu.capability) == ("17000000.gpu", "sysfs", "8.7")
    assert (gpu.load, gpu.hertz) == (0.504, 306e6)
    assert gpu.celsius == pytest.approx(50.218)


@pytest.mark.parametrize("name", BOARDS)
def test_every_file_of_a_board_may_be_missing(tmp_path: Path, name: str) -> None:
    """Take files away in turn, on each board another eighth of them, and at last everything."""
    root = unpack(name, tmp_path)
    channels = find_channels(root)
    files = [f"{folder}/{file}" for folder, files in manifest(name)["files"].items() for file in files]
    for file in files[BOARDS.index(name) :: 8]:
        (root / file).rename(tmp_path / "away")
        read_machine(root)
        (tmp_path / "away").rename(root / file)
    for folder in ("sys", "proc", "etc", "var"):
        (root / folder).rename(root / f"was-{folder}") if (root / folder).exists() else None
    empty = read_machine(root)
    assert (empty.rails, empty.zones, empty.clocks, empty.gpus, empty.board.model) == ((), (), (), (), None)
    assert [channel.key for channel in channels if channel.read() is not None] in (["load/self"], [])
