"""power.sh on recorded boards, with nvpmodel and jetson_clocks replaced by scripts that behave as they do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from recorded_boards import unpack
from repository import ROOT

SCRIPT = ROOT / "jetson" / "power.sh"

NVPMODEL = r"""#!/usr/bin/env bash
# A stand-in for tests: -q tells the mode, -m sets it; modes in $FAKE/reboot take a reboot, those in $FAKE/broken fail.
echo "nvpmodel $*" >>"$FAKE/calls"
if [[ $1 == -q ]]; then
    mode=$(<"$FAKE/mode")
    printf 'NV Power Mode: %s\n%s\n' "$(sed -n "s/^< POWER_MODEL ID=$mode NAME=\(.*\) >/\1/p" "$CONF")" "$mode"
elif grep -qx "$2" "$FAKE/broken"; then
    echo "NVPM ERROR: failed to set power mode!"
    exit 255
elif grep -qx "$2" "$FAKE/reboot"; then
    echo "NVPM WARN: Reboot required for changing to this power mode: $2"
    echo "NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:"
    read -r answer
    if [[ $answer == YES ]]; then echo reboot >>"$FAKE/calls"; else echo "NVPM ERROR: bad input!"; exit 255; fi
else
    echo "$2" >"$FAKE/mode"
fi
"""
CLOCKS = r"""#!/usr/bin/env bash
# A stand-in for tests: --store writes the state to a file that is not there, --restore reads it, alone it locks.
echo "jetson_clocks $1" >>"$FAKE/calls"
case ${1:-} in
    --store) [[ ! -e $2 ]] && cp "$FAKE/clocks" "$2" ;;
    --restore) [[ ! -e $FAKE/stuck ]] && cp "$2" "$FAKE/clocks" ;;
    *) echo locked >"$FAKE/clocks" ;;
esac
"""


class Desk:
    """A recorded board with the two tools beside it."""

    def __init__(self, folder: Path, board: str) -> None:
        self.root = unpack(board, folder / "board")
        self.fake, self.state = folder / "fake", folder / "run" / "state"
        tools = folder / "tools"
        for path in (self.fake, tools, self.state.parent):
            path.mkdir()
        for name, text in (("nvpmodel", NVPMODEL), ("jetson_clocks", CLOCKS)):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        status = (self.root / "var/lib/nvpmodel/status").read_text()
        (self.fake / "mode").write_text(str(int(status.partition(":")[2])))
        for name, text in (("clocks", "dynamic\n"), ("reboot", ""), ("broken", ""), ("calls", "")):
            (self.fake / name).write_text(text)
        self.environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "FAKE": str(self.fake),
            "CONF": str(self.root / "etc/nvpmodel.conf"),
        }

    def command(self, *arguments: str) -> list[str]:
        at = arguments.index("--") if "--" in arguments else len(arguments)
        where = ("--root", str(self.root), "--state", str(self.state))
        return [str(SCRIPT), *arguments[:at], *where, *arguments[at:]]

    def power(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=20)

    @property
    def mode(self) -> int:
        return int((self.fake / "mode").read_text())

    @property
    def clocks(self) -> str:
        return (self.fake / "clocks").read_text().strip()

    @property
    def calls(self) -> list[str]:
        return (self.fake / "calls").read_text().splitlines()


@pytest.fixture
def nano(tmp_path: Path) -> Desk:
    """Return an Orin Nano in MAXN_SUPER (2); its modes are 15W, 25W, MAXN_SUPER and 7W, from 0 on."""
    return Desk(tmp_path, "orin-nano-jp6")


@pytest.mark.parametrize(
    ("board", "mode", "modes"),
    [
        ("orin-nano-jp6", "MAXN_SUPER (2)", "15W (0), 25W (1), MAXN_SUPER (2), 7W (3)"),
        ("orin-nano-jp7", "25W (1)", "15W (0), 25W (1), MAXN_SUPER (2), 7W (3)"),
        ("orin-nx-jp6", "25W (3)", "MAXN (0), 10W (1), 15W (2), 25W (3)"),
        ("agx-orin-jp7", "MAXN (0)", "MAXN (0), MODE_15W (1), MODE_30W (2), MODE_50W (3)"),
        ("agx-thor-idle-jp7", "120W (1)", "MAXN (0), 120W (1), 90W (2), 70W (3)"),
    ],
)
def test_show_tells_the_mode_and_those_there_are(tmp_path: Path, board: str, mode: str, modes: str) -> None:
    desk = Desk(tmp_path, board)
    done = desk.power("show")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [f"mode: {mode}", f"modes: {modes}"]
    assert done.stdout.splitlines()[-1] == f"saved in {desk.state}: nothing"
    assert desk.calls == ["nvpmodel -q"]


def test_show_reads_the_file_where_nvpmodel_refuses_to_tell(nano: Desk) -> None:
    (nano.root.parent / "tools" / "nvpmodel").write_text("#!/bin/sh\nexit 1\n")
    assert nano.power("show").stdout.startswith("mode: MAXN_SUPER (2)\n")


@pytest.mark.parametrize(
    ("board", "wanted", "number"),
    [
        ("orin-nano-jp6", "15W", 0),
        ("orin-nano-jp6", "3", 3),
        ("agx-thor-idle-jp7", "maxn", 0),
        ("orin-nano-jp7", "MAXN SUPER", 2),
        ("orin-nano-jp7", "maxn-super", 2),
        ("agx-orin-jp6", "30W", 2),
        ("agx-orin-jp6", "MODE_30W", 2),
    ],
)
def test_a_mode_is_set_by_name_or_number_and_restored(
    tmp_path: Path, board: str, wanted: str, number: int
) -> None:
    desk = Desk(tmp_path, board)
    before = desk.mode
    done = desk.power("set", wanted, "--clocks")
    assert done.returncode == 0, done.stderr
    assert (desk.mode, desk.clocks) == (number, "locked")
    done = desk.power("restore")
    assert (done.returncode, desk.mode, desk.clocks) == (0, before, "dynamic")
    assert not desk.state.exists()
    order = [call for call in desk.calls if "-q" not in call]
    assert order[-2:] == [f"nvpmodel -m {before}", "jetson_clocks --restore"], "the mode's limits come first"


def test_what_was_saved_first_stays(nano: Desk) -> None:
    for arguments in (["save"], ["set", "15W"], ["set", "25W"]):
        assert nano.power(*arguments).returncode == 0
    assert nano.power("show").stdout.endswith(f"saved in {nano.state}: MAXN_SUPER (2)\n")
    assert nano.power("restore").returncode == 0
    assert nano.mode == 2


def test_an_unknown_mode_is_refused_before_anything_changes(nano: Desk) -> None:
    done = nano.power("set", "30W")
    assert done.returncode == 1
    assert "there is no power mode '30W'" in done.stderr
    assert "expected: one of 15W (0), 25W (1), MAXN_SUPER (2), 7W (3)" in done.stderr
    assert (nano.mode, nano.state.exists()) == (2, False)


def test_a_mode_that_takes_a_reboot_is_told_and_not_set(nano: Desk) -> None:
    (nano.fake / "reboot").write_text("3\n")
    done = nano.power("set", "7W", "--clocks")
    assert done.returncode == 3
    assert "mode 7W (3) takes a reboot and was not set" in done.stderr
    assert "power.sh set 7W --reboot" in done.stderr
    assert (nano.mode, nano.clocks) == (2, "dynamic")
    assert "reboot" not in nano.calls
    done = nano.power("set", "7W", "--reboot")
    assert (done.returncode, nano.calls.count("reboot")) == (0, 1)
    assert "the board reboots into it now" in done.stdout


def test_a_mode_that_nvpmodel_cannot_set_leaves_the_old_one(nano: Desk) -> None:
    (nano.fake / "broken").write_text("1\n")
    done = nano.power("set", "25W", "--clocks")
    assert done.returncode == 1
    assert "nvpmodel did not set mode 25W (1): NVPM ERROR: failed to set power mode!" in done.stderr
    assert (nano.mode, nano.clocks) == (2, "dynamic")


def test_restore_does_what_it_can(nano: Desk) -> None:
    nano.power("set", "15W", "--clocks")
    (nano.fake / "broken").write_text("2\n")
    done = nano.power("restore")
    assert (done.returncode, nano.mode, nano.clocks) == (1, 0, "dynamic")
    assert nano.state.exists(), "a second try shall be possible"
    (nano.fake / "broken").write_text("")
    (nano.fake / "stuck").touch()
    done = nano.power("restore")
    assert (done.returncode, nano.mode) == (1, 2)
    assert "jetson_clocks did not restore the clocks" in done.stderr
    (nano.fake / "stuck").unlink()
    assert nano.power("restore").returncode == 0


def test_nothing_saved_is_told(nano: Desk) -> None:
    done = nano.power("restore")
    assert done.returncode == 1
    assert f"nothing is saved in {nano.state}" in done.stderr


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_run_restores_whatever_becomes_of_the_command(nano: Desk, command: str, code: int) -> None:
    done = nano.power(
        "run", "15W", "--clocks", "--", "sh", "-c", f"cat {nano.fake}/mode {nano.fake}/clocks; {command}"
    )
    assert done.returncode == code, done.stderr
    assert "0\nlocked\n" in done.stdout
    assert (nano.mode, nano.clocks, nano.state.exists()) == (2, "dynamic", False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_run_restores_when_it_is_stopped(nano: Desk, number: signal.Signals) -> None:
    command = nano.command("run", "15W", "--", "sh", "-c", f"echo $$ >{nano.fake}/pid; exec sleep 60")
    # What is ignored when a shell starts, as SIGHUP is below nohup, it cannot trap: the tests may run below one.
    heard = partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(
        command, env=nano.environment, stdout=subprocess.PIPE, text=True, preexec_fn=heard
    ) as process:
        while not (nano.fake / "pid").exists() or not (nano.fake / "pid").read_text().strip():
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate(timeout=10)[0]
    assert process.returncode == 128 + number
    assert (nano.mode, nano.state.exists()) == (2, False)
    assert said.endswith("restored\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int((nano.fake / "pid").read_text()), 0)


def test_off_a_jetson_it_refuses(tmp_path: Path) -> None:
    command = [str(SCRIPT), "set", "15W", "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(r"this is no Jetson: .*\n  expected: a Jetson.*\n  do: run it on the board", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "it needs to be told what to do"),
        (["boost"], "there is no action 'boost'"),
        (["set"], "set needs a MODE"),
        (["run", "15W"], "run needs -- COMMAND"),
        (["run", "15W", "--reboot", "--", "true"], "run cannot go on after a reboot"),
        (["set", "15W", "--fast"], "there is no option '--fast'"),
        (["show", "--state"], "--state needs a value"),
    ],
)
def test_usage(arguments: list[str], said: str) -> None:
    done = subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_help() -> None:
    done = subprocess.run([str(SCRIPT), "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.startswith("Usage: power.sh show")) == (0, True)
