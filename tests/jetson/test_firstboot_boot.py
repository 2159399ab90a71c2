"""The first boot as a program: builds, self-test, switch, refusals; on the tests' driver and a stub of TensorRT."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

import sidecars
from stub_board import CONFIG, NAMES, Board
from vultus.engines.sidecar import Platform, load_engine, read_sidecar

pytest.importorskip("cuda.bindings", reason="needs cuda-bindings")

DETECTOR, FACE = NAMES
FILES = sorted(f"{name}.engine{tail}" for name in NAMES for tail in ("", ".json"))
WHOLE = sorted([*FILES, "origin.json", "slot.json"])
ORIN = Platform("tensorrt", "10.3.0", "8.7", "Fake CUDA device 0", "13.0")


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """Return a device after its first boot; tests that change it take a copy."""
    board = Board(tmp_path_factory.mktemp("booted") / "root")
    board.furnish()
    ended = board.boot(PAUSE=0.15)
    assert ended.code == 0, ended.said
    (board.root / "said").write_text(ended.said)
    return board


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Return a device that has never booted."""
    made = Board(tmp_path / "root")
    made.furnish()
    return made


@pytest.fixture
def used(booted: Board, tmp_path: Path) -> Board:
    """Return a copy of the device after its first boot."""
    return booted.copied(tmp_path / "root")


def test_it_builds_tests_and_only_then_switches(booted: Board) -> None:
    assert (booted.current, booted.files("a")) == ("a", WHOLE)
    for name in NAMES:
        sidecar, _ = load_engine(booted.engines / "a" / f"{name}.engine", ORIN)
        assert sidecar.onnx == f"{name}.onnx"
    assert booted.told["state"] == "ready"
    assert (booted.told["slot"], booted.told["done"], booted.told["total"]) == ("a", 3, 3)
    assert json.loads(booted.ready.read_text())["slot"] == "a"
    origin = json.loads((booted.engines / "a" / "origin.json").read_text())
    assert (origin["board"], origin["mode"]) == ("3767-0005", "MAXN_SUPER")
    assert (booted.state / "timings-MAXN_SUPER.cache").read_bytes() == b"timings of this GPU"


def test_the_journal_gets_plain_lines_with_rising_percent(booted: Board) -> None:
    said = (booted.root / "said").read_text()
    assert said.isascii()
    assert all(line.startswith("first boot: ") for line in said.splitlines())
    percents = [int(number) for number in re.findall(r"^first boot: +(\d+)% ", said, re.MULTILINE)]
    assert percents == sorted(percents)
    assert any(0 < number < 33 for number in percents), "a build tells how far it has come"
    order = [
        f"{DETECTOR}: 0 %",
        f"{FACE}: 0 %",
        "selftest: started",
        "two squares (faces 2",
        "ready: engines: 2 built",
    ]
    places = [said.index(words) for words in order]
    assert places == sorted(places)


def test_a_second_start_finds_all_done(used: Board) -> None:
    used.ready.unlink()  # as after a loss of power between the switch and the marker
    ended = used.boot()
    assert (ended.code, used.current) == (0, "a")
    assert "slot a is in use, tested and fits" in ended.said
    assert "selftest" not in ended.said
    assert used.ready.exists()


def test_a_failing_selftest_leaves_the_engines_of_before(used: Board) -> None:
    ended = used.boot("--rebuild", SPOIL=1)
    assert ended.code == 1
    assert "0 %, started" in ended.said, "it shall build though all fits"
    assert (used.current, used.files("a")) == ("a", WHOLE)
    assert used.files("b") == ["origin.json"], "what failed shall not be taken for finished"
    assert used.ready.exists()
    assert used.told["state"] == "failed"
    assert used.told["why"].startswith(
        "the self-test with the new engines failed: FAILED  pipeline: two squares"
    )
    assert used.told["why"].endswith("; the engines of slot a stay in use")


def test_a_damaged_engine_is_renewed_in_the_other_slot(used: Board) -> None:
    engine = used.engines / "a" / f"{FACE}.engine"
    data = bytearray(engine.read_bytes())
    data[len(data) // 2] ^= 1
    engine.write_bytes(data)
    ended = used.boot()
    assert ended.code == 0, ended.said
    assert f"{engine} is damaged" in ended.said
    assert ", so slot b is filled" in ended.said
    assert f"{engine} is not used: {engine} is damaged" in ended.said
    assert "engines: 1 imported, 1 built; slot b is in use, slot a is kept" in ended.said
    assert (used.current, used.files("b")) == ("b", WHOLE)
    assert used.files("a") == WHOLE


def test_another_power_mode_builds_anew_when_it_is_asked_again(used: Board) -> None:
    used.set_power_mode(0)
    assert "the engines in use fit" in used.boot("--recheck").said, "below a root there is no machine to ask"
    used.ready.unlink()
    ended = used.boot(BOARD='{"build_error": "so that no time is spent"}')
    why = "built in power mode MAXN_SUPER, this is 15W, where other kernels may be the fastest"
    assert f"{used.engines / 'a' / DETECTOR}.engine is not used: {why}" in ended.said
    assert "tiny-det: 0 %, started" in ended.said
    assert (ended.code, used.current, used.files("b")) == (1, "a", ["origin.json"])


def test_a_prebuilt_cache_is_imported_when_its_key_matches(board: Board, booted: Board) -> None:
    board_of_another, key_of_another, here = (
        board.cache / name for name in ("agx-orin", "jetpack-7", "nano")
    )
    for folder in (board_of_another, key_of_another, here):
        shutil.copytree(booted.engines / "a", folder)
    origin = board_of_another / "origin.json"
    origin.write_text(origin.read_text().replace("3767-0005", "3701-0005"))
    for path in key_of_another.glob("*.engine.json"):
        path.write_text(path.read_text().replace(json.loads(path.read_text())["key"], "2" * 64))
    ended = board.boot()
    assert ended.code == 0, ended.said
    assert "engines: 2 imported; slot a is in use" in ended.said
    for folder, why in (
        (
            board_of_another,
            "built on module 3701-0005, this is 3767-0005, where other kernels may be the fastest",
        ),
        (key_of_another, "the engine there is of another model, profile, GPU or options"),
    ):
        assert f"{folder / FACE}.engine is not used: {why}" in ended.said
    assert "%, started" not in ended.said
    assert (board.engines / "a" / f"{FACE}.engine").read_bytes() == (here / f"{FACE}.engine").read_bytes()


def test_imported_engines_that_fail_the_selftest_are_built_here(board: Board, booted: Board) -> None:
    source = booted.engines / "a"
    shutil.copytree(source, board.cache)
    for path in board.cache.glob("*.engine"):
        spoil(path)
    ended = board.boot()
    assert ended.code == 0, ended.said
    assert "the self-test with the new engines failed" in ended.said
    assert "all engines are built anew" in ended.said
    assert "engines: 2 built; slot a is in use" in ended.said


def spoil(engine: Path) -> None:
    """Let an engine of the stub give wrong numbers, with a sidecar that fits it."""
    data = json.dumps({**json.loads(engine.read_bytes()), "spoiled": True}).encode()
    sidecars.saved(engine.parent, replace(read_sidecar(engine), **sidecars.hashed(data)), data, engine.name)


def test_a_failed_build_says_what_tensorrt_said(board: Board) -> None:
    ended = board.boot(BOARD='{"build_error": "Error Code 10: no kernel for node_3"}')
    assert ended.code == 1
    assert board.told["step"] == DETECTOR
    assert (
        "tiny-det cannot be built: TensorRT 10.3.0 cannot build tiny-detector: Error Code 10"
        in board.told["why"]
    )
    assert board.told["why"].endswith("no engines are in use")
    assert (board.current, board.ready.exists()) == (None, False)


def test_without_a_gpu_it_fails_and_says_what_to_do(board: Board, tmp_path: Path) -> None:
    blind = Board(tmp_path / "blind", DEVICES=0)
    blind.furnish()
    ended = blind.boot()
    assert ended.code == 1
    assert "the NVIDIA driver finds no GPU" in ended.said
    assert '[run] device = "cpu"' in ended.said


def test_a_tensorrt_that_crashes_is_no_end_of_the_first_boot(board: Board, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "tensorrt"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import os\nos.abort()\n")
    board.with_packages(broken.parent)
    ended = board.boot()
    assert ended.code == 1
    assert board.told["why"].startswith(
        "looking at TensorRT and the GPU crashed (exit status -6); mend the NVIDIA"
    )


def test_on_the_cpu_there_is_nothing_to_build(board: Board) -> None:
    board.configure(CONFIG.replace('"auto"', '"cpu"'))
    ended = board.boot()
    assert ended.code == 0
    assert 'nothing to build: the configuration says device = "cpu"' in ended.said
    assert board.told["state"] == "ready"
    assert not board.ready.exists(), "a later change to the GPU shall build"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("detector =", "detektor =", r"vultus.toml:5: models.detektor: "),
        ('"tiny-face"', '"vultus-face-xl"', r"there is no model vultus-face-xl.onnx in .*/opt/vultus/models"),
        (CONFIG, None, r"vultus.toml: cannot be read: No such file or directory"),
    ],
)
def test_a_bad_configuration_is_78(board: Board, old: str, new: str | None, said: str) -> None:
    if new is None:
        (board.root / "etc/vultus/vultus.toml").unlink()
    else:
        board.configure(CONFIG.replace(old, new))
    ended = board.boot()
    assert ended.code == 78
    assert re.search(said, board.told["why"])
    assert board.told["state"] == "failed"
    assert not board.engines.exists()


def test_sigterm_stops_it_with_its_children_and_another_cannot_start_beside_it(board: Board) -> None:
    with board.start(PAUSE=0.2, **board.hold(DETECTOR)) as first:
        wait_until(board.at(DETECTOR, detail="17 %"))
        second = board.boot()
        first.send_signal(signal.SIGTERM)
        board.go_on()
        said = first.communicate(timeout=30)[0]
    assert second.code == 1
    assert "another first boot is at work in" in second.said
    assert first.returncode == 1
    assert "FAILED: stopped by SIGTERM; it goes on where it was when it is started again" in said
    assert board.told["why"].startswith("stopped by SIGTERM")
    assert not [name for name in board.files("a") if name.startswith(".")], "half-written"
    with pytest.raises(ProcessLookupError):
        os.killpg(first.pid, 0)


def wait_until(seen: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_status_tells_and_exits_by_state(used: Board, tmp_path: Path) -> None:
    ended = used.boot("--status")
    assert ended.code == 0
    assert ended.said.splitlines()[0] == "first boot: ready, engines in slot a"
    assert "engines in use: slot a\nready marker: there\n" in ended.said
    ended = Board(tmp_path / "new").boot("--status")
    assert (ended.code, ended.said.splitlines()[0]) == (3, "first boot: has not run")
    (used.state / "firstboot.json").write_text('{"state": "failed", "why": "no room"}')
    ended = used.boot("--status")
    assert (ended.code, ended.said.splitlines()[0]) == (1, "first boot: failed at its beginning: no room")


def test_recheck_takes_the_marker_away_when_models_changed(used: Board) -> None:
    ended = used.boot("--recheck")
    assert (ended.code, used.ready.exists()) == (0, True)
    assert "the engines in use fit" in ended.said
    with (used.models / f"{FACE}.onnx").open("ab") as file:
        file.write(b"\x22\x00")  # an empty text, which says nothing and changes the file
    ended = used.boot("--recheck")
    assert (ended.code, used.ready.exists(), used.current) == (0, False, "a")
    assert "the next boot builds: the engine there is of another model" in ended.said


@contextmanager
def disk(board: Board, size: str) -> Iterator[Path]:
    """Mount a disk of its own as the state folder."""
    board.state.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(board.state)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk here")
    try:
        yield board.state
    finally:
        subprocess.run(["umount", "-l", str(board.state)], check=True)


def test_a_full_disk_is_told_before_anything_is_built(board: Board) -> None:
    with disk(board, "1m"):
        ended = board.boot()
        assert ended.code == 1
        said = r"/a has [01]\.\d MiB free, its engines may need 1\d\.\d MiB; make room there; no engines are in use"
        assert re.search(said, board.told["why"])
        assert (board.current, board.files("a")) == (None, ["origin.json"])


def test_a_disk_that_fills_up_while_it_builds_is_told_and_leaves_nothing_behind(board: Board) -> None:
    with disk(board, "40m") as state:
        with board.start(**board.hold(DETECTOR)) as process:
            wait_until(board.at(DETECTOR, detail="17 %"))
            fill_up(state / "filler")
            board.go_on()
            process.communicate(timeout=60)
        assert process.returncode == 1
        assert (board.told["state"], board.told["step"]) == ("failed", DETECTOR)
        assert "tiny-det cannot be built: its exit status is 1" in board.told["why"]
        assert "No space left on device" in board.told["why"]
        assert (board.current, board.files("a")) == (None, ["origin.json"])


def fill_up(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))


def test_a_read_only_disk_is_told(board: Board) -> None:
    with disk(board, "1m") as state:
        subprocess.run(["mount", "-o", "remount,ro", str(state)], check=True)
        ended = board.boot()
        assert ended.code == 1
        assert f"cannot write to {state}: Read-only file system; the first boot needs a folder" in ended.said


def test_a_slot_that_cannot_be_written_is_told(board: Board) -> None:
    board.engines.mkdir(parents=True)
    (board.engines / "a").write_text("no folder")
    ended = board.boot()
    assert ended.code == 1
    assert (
        f"cannot write to {board.engines / 'a'}: File exists; engines need a folder that lasts" in ended.said
    )
