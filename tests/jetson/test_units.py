"""The units, the user, the directories and the device rules, as systemd's own programs read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jetson_image import HOST_UNITS, TREE, UNITS, called, device_root, need, need_root, settings

SERVICES = ("vultus.service", "vultus-firstboot.service")
EXPOSURE = 3.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    need("systemd-analyze")
    if not (HOST_UNITS / "sysinit.target").exists():
        pytest.skip("this machine has systemd-analyze and no units of systemd")
    return device_root(tmp_path / "root")


def test_units_are_these() -> None:
    assert sorted(path.name for path in UNITS.iterdir()) == sorted(SERVICES)


def test_systemd_finds_nothing_to_complain_of(root: Path) -> None:
    done = called(["systemd-analyze", "verify", f"--root={root}", "--man=no", *SERVICES])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_verify_would_have_complained(root: Path) -> None:
    unit = root / "usr/lib/systemd/system/vultus.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert (
        "WatchdogSecs"
        in called(["systemd-analyze", "verify", f"--root={root}", "--man=no", *SERVICES]).stderr
    )


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure(unit: str) -> None:
    need("systemd-analyze")
    done = called(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", UNITS / unit]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    level = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None
    assert float(level[1]) <= EXPOSURE


@pytest.mark.parametrize(
    ("unit", "key", "values"),
    [
        ("vultus.service", "Type", ["notify"]),
        ("vultus.service", "RestartPreventExitStatus", ["78"]),
        ("vultus.service", "Restart", ["on-failure"]),
        ("vultus.service", "RuntimeDirectory", ["vultus"]),
        ("vultus.service", "StandardOutput", ["journal"]),
        ("vultus-firstboot.service", "Type", ["oneshot"]),
        ("vultus-firstboot.service", "ConditionPathExists", ["!/var/lib/vultus/ready"]),
        ("vultus-firstboot.service", "TimeoutStartSec", ["infinity"]),
    ],
)
def test_setting(unit: str, key: str, values: list[str]) -> None:
    assert settings(unit)[key] == values


@pytest.mark.parametrize("unit", SERVICES)
def test_what_both_units_must_keep(unit: str) -> None:
    found = settings(unit)
    assert found["User"] == ["vultus"]
    assert found["SupplementaryGroups"] == ["video render"]
    assert found["StateDirectory"] == ["vultus"]
    # What CUDA does not bear, see the comment in vultus.service.
    assert not {"PrivateDevices", "ProcSubset", "MemoryDenyWriteExecute", "PrivateUsers"} & set(found)
    assert found["WantedBy"] == ["multi-user.target"]


def test_it_tries_without_end_with_a_pause_that_costs_little_and_is_not_long() -> None:
    found = settings("vultus.service")
    assert found["StartLimitIntervalSec"] == ["0"], "no limit, and systemd 249 knows no other way to go on"
    assert "StartLimitBurst" not in found
    assert 10 <= int(found["RestartSec"][0]) <= 60
    assert 10 <= int(found["WatchdogSec"][0]) <= 60


def test_first_boot_does_not_hold_the_service_back() -> None:
    for key in ("Before", "RequiredBy", "BindsTo"):
        assert "vultus.service" not in " ".join(settings("vultus-firstboot.service").get(key, []))
    for key in ("After", "Requires", "Wants"):
        assert "firstboot" not in " ".join(settings("vultus.service").get(key, []))


def test_user_is_made_with_its_groups_and_directories(tmp_path: Path) -> None:
    need("systemd-sysusers", "systemd-tmpfiles")
    need_root()
    for name in ("sysusers.d", "tmpfiles.d"):
        target = tmp_path / "usr" / "lib" / name
        target.mkdir(parents=True)
        (target / "vultus.conf").write_text((TREE / "usr/lib" / name / "vultus.conf").read_text())
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nvideo:x:44:\n")
    done = called(["systemd-sysusers", f"--root={tmp_path}", "vultus.conf"])
    assert done.returncode == 0, done.stderr
    passwd = (tmp_path / "etc/passwd").read_text()
    assert re.search(r"^vultus:x:\d+:\d+:.*:/var/lib/vultus:/usr/sbin/nologin$", passwd, re.MULTILINE)
    groups = dict(line.split(":x:") for line in (tmp_path / "etc/group").read_text().splitlines())
    assert groups["video"] == "44:vultus"
    assert groups["render"].endswith(":vultus")
    done = called(["systemd-tmpfiles", f"--root={tmp_path}", "--create", "vultus.conf"])
    assert done.returncode == 0, done.stderr
    state = (tmp_path / "var/lib/vultus").stat()
    assert (state.st_mode & 0o777, (tmp_path / "run/vultus").stat().st_mode & 0o777) == (0o750, 0o755)


RULE = re.compile(
    r'(ACTION|SUBSYSTEM|KERNEL)=="[^"]+"(, (KERNEL|ATTR\{\w+\})=="[^"]+")*(, (GROUP|MODE|GOTO)="[^"]+")+'
    r'|LABEL="\w+"'
)


def test_device_rules_are_written_as_udev_reads_them() -> None:
    text = (TREE / "usr/lib/udev/rules.d/98-vultus.rules").read_text("utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(rules) > 5
    for rule in rules:
        assert RULE.fullmatch(rule), rule
    assert "dbg" not in "".join(rules)
    assert "0666" not in "".join(rules)
