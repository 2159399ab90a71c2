"""Clocks are held still only with rights, and are put back whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vultus.bench.locking import POLICIES, locked_clocks
from vultus.errors import DeviceError

GOVERNORS = ("schedutil", "powersave")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root with two cpufreq policies under different governors, and no jetson_clocks on the path."""
    for number, governor in enumerate(GOVERNORS):
        policy = tmp_path / POLICIES / f"policy{number}"
        policy.mkdir(parents=True)
        (policy / "scaling_governor").write_text(f"{governor}\n")
        (policy / "scaling_available_governors").write_text("performance schedutil powersave\n")
    monkeypatch.setenv("PATH", "/nowhere")
    return tmp_path


def governors(root: Path) -> list[str]:
    return [path.read_text().strip() for path in sorted((root / POLICIES).glob("*/scaling_governor"))]


def test_governors_are_set_and_put_back(root: Path) -> None:
    with locked_clocks(root) as how:
        assert how == "governor performance"
        assert governors(root) == ["performance"] * 2
    assert governors(root) == list(GOVERNORS)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_governors_are_put_back_after_errors(root: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), locked_clocks(root):
        raise error
    assert governors(root) == list(GOVERNORS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_governors_are_put_back_after_signals(root: Path, number: signal.Signals) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom vultus.bench.locking import locked_clocks\n"
        "with locked_clocks(Path(sys.argv[1])):\n print('locked', flush=True)\n time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        assert governors(root) == ["performance"] * 2
        process.send_signal(number)
        assert process.wait(30) != 0
    assert governors(root) == list(GOVERNORS)


def test_a_policy_that_vanished_does_not_keep_others_from_being_put_back(root: Path) -> None:
    with locked_clocks(root):
        gone = root / POLICIES / "policy1"
        for file in gone.iterdir():
            file.unlink()
        gone.rmdir()
    assert governors(root) == ["schedutil"]


def test_handlers_of_signals_are_as_before(root: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)]
    with locked_clocks(root):
        assert [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)] == before


def test_no_policies_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="finds no clocks that can be set"), locked_clocks(tmp_path):
        pytest.fail("entered")


def test_an_unknown_governor_is_refused_before_anything_changes(root: Path) -> None:
    (root / POLICIES / "policy1" / "scaling_available_governors").write_text("schedutil powersave\n")
    with pytest.raises(DeviceError, match="policy1 has no governor 'performance', only schedutil, powersave"):
        locked_clocks(root).__enter__()
    assert governors(root) == list(GOVERNORS)


def test_without_rights_it_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os, "access", lambda path, mode: False
    )  # the tests may run as root, who may do anything
    with pytest.raises(
        DeviceError, match=r"may not write .*policy0/scaling_governor; run as root or leave it out"
    ):
        locked_clocks(root).__enter__()
    assert governors(root) == list(GOVERNORS)


# jetson_clocks

TOOL = """#!/bin/sh
echo "$@" >> "{log}"
case "$1" in --store) echo kept > "$2";; --restore) cat "$2" >> "{log}";; esac
{more}
"""


def tool(folder: Path, more: str = "") -> tuple[Path, Path]:
    path, log = folder / "jetson_clocks", folder / "log"
    path.write_text(TOOL.format(log=log, more=more))
    path.chmod(0o755)
    return path, log


def test_jetson_clocks_stores_sets_and_restores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    path, log = tool(tmp_path)
    with (
        pytest.raises(ValueError, match="while jetson_clocks holds"),
        locked_clocks(tmp_path, str(path)) as how,
    ):
        raise ValueError(f"while {how} holds")
    store, locked, restore, kept = log.read_text().splitlines()
    assert store.startswith("--store ")
    assert locked == ""
    assert restore == store.replace("--store", "--restore")
    assert kept == "kept"


def test_jetson_clocks_without_root_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    path, log = tool(tmp_path)
    with pytest.raises(
        DeviceError, match="runs jetson_clocks, which takes root; run with sudo or leave it out"
    ):
        locked_clocks(tmp_path, str(path)).__enter__()
    assert not log.exists()


def test_jetson_clocks_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    path, _ = tool(tmp_path, 'echo "no such board" >&2; exit 3')
    with pytest.raises(DeviceError, match=r"jetson_clocks --store .* ended with 3: no such board"):
        locked_clocks(tmp_path, str(path)).__enter__()
