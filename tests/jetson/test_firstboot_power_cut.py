"""Loss of power in the middle of a first boot: kill -9 of all its processes, then a clean recovery."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stub_board import FIRSTBOOT, NAMES, Board

pytest.importorskip("cuda.bindings", reason="needs cuda-bindings")

DETECTOR, FACE = NAMES
FILES = sorted(f"{name}.engine{tail}" for name in NAMES for tail in ("", ".json"))


def test_it_goes_on_after_every_cut(tmp_path: Path) -> None:
    board = Board(tmp_path / "root")
    board.furnish()

    board.cut_when(board.at(DETECTOR, detail="17 %"), **board.hold(DETECTOR))  # while TensorRT builds
    assert (board.current, board.ready.exists(), board.files("a")) == (None, False, ["origin.json"])

    assert (
        board.boot(CUT=f"os.rename */{DETECTOR}.engine.json").code == -9
    )  # between an engine and its sidecar
    assert f"{DETECTOR}.engine" in board.files("a")
    assert f"{DETECTOR}.engine.json" not in board.files("a")

    board.cut_when(board.at(FACE), **board.hold(FACE))  # the first engine is whole by now
    ended = board.boot(CUT=f"os.rename */{FACE}.engine")  # before the second one is in its place
    assert ended.code == -9
    assert f"{DETECTOR}: finished before" in ended.said
    assert [name for name in board.files("a") if name.startswith(f".{FACE}.engine.")], "half-written"

    ended = board.boot(CUT="import vultus.selftest.reference")  # in the self-test, after the kernels
    assert (ended.code, board.told["state"]) == (-9, "selftest")
    assert (board.current, board.ready.exists()) == (None, False)

    ended = board.boot(CUT="os.rename */ready")  # all is done but the marker
    assert ended.code == -9
    assert (ended.said.count("finished before"), board.current, board.ready.exists()) == (2, "a", False)

    ended = board.boot()
    assert ended.code == 0, ended.said
    assert board.ready.exists()
    assert board.files("a") == sorted([*FILES, "origin.json", "slot.json"])
    left = {".firstboot.lock", "engines", "firstboot.json", "ready", "timings-MAXN_SUPER.cache"}
    assert {path.name for path in board.state.iterdir()} == left


COMMIT = """
import json, os, sys, time
from pathlib import Path
from vultus.service.config import Config, Source
from vultus.service.places import places
from vultus_firstboot.report import Report
from vultus_firstboot.run import Order, _use
from vultus_firstboot.slots import Record, Slots

WRITES = {"os.rename", "os.symlink", "os.remove", "os.mkdir", "open"}
root = Path(sys.argv[1])
seen, last = 0, None

def watch(name, arguments):
    global seen
    if name not in WRITES or last is None or (name == "open" and not (arguments[2] or 0) & os.O_CREAT):
        return
    seen += 1
    if seen == last:
        os._exit(9)

sys.addaudithook(watch)
for number in range(1, 100):
    folder = root / str(number)
    found = places(folder)
    slots = Slots(found.state / "engines")
    for slot in ("a", "b"):
        slots.path(slot).mkdir(parents=True)
    slots.switch("a")
    child = os.fork()
    if not child:
        sys.stdout = open(os.devnull, "w")
        order = Order(found, Config(Source()), folder, [], "auto", 1, False)
        report = Report(found.firstboot)
        last = number
        _use(order, "b", Record("this vultus", {"x.engine": "1" * 64}), "engines: 1 built", report)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    record = slots.record("b")
    print(json.dumps([code, slots.current, bool(record), found.ready.exists()]))
    if code == 0:
        break
"""


def test_the_switch_is_whole_or_not_at_all_wherever_it_is_cut(tmp_path: Path) -> None:
    """Every event that changes the disk is a point at which a process ends without a word."""
    environment = {**os.environ, "PYTHONPATH": str(FIRSTBOOT)}
    command = [sys.executable, "-c", COMMIT, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    states = [json.loads(line) for line in done.stdout.splitlines()]
    assert [code for code, *_ in states] == [9] * (len(states) - 1) + [0]
    assert len(states) > 6
    for _, current, tested, ready in states:
        assert current in ("a", "b")
        assert tested or current == "a", "no slot is in use that did not pass the self-test"
        assert current == "b" or not ready
    assert states[-1] == [0, "b", True, True]
    assert {current for _, current, *_ in states} == {"a", "b"}
