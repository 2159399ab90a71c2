"""`vultus run` as people and scripts use it, with models whose answers are known."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import tiny
from vultus.cli import app
from vultus.cli.faces import faces_table
from vultus.sources import find_pictures
from vultus.types import FACE, GENDERS, empty_faces

VULTUS = [sys.executable, "-c", "from vultus.cli import main; main()"]
CORNERS = [(32, 64), (160, 32), (96, 128)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with pictures of 1, 2 and 3 faces and one file that is no picture."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for count, name in enumerate(("one.png", "two.png", "sub/three.png"), 1):
        cv2.imwrite(str(folder / name), tiny.squares(320, 240, *CORNERS[:count]))
    return folder


@pytest.fixture
def models(tiny_models: list[Path]) -> list[str]:
    return [argument for path in tiny_models for argument in ("--models", str(path))]


def invoke(*arguments: str | Path, **more: Any) -> Any:
    return CliRunner().invoke(app, ["run", *map(str, arguments)], **more)


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def ran(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [*VULTUS, "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


# What comes out


def test_few_pictures_get_a_table_each(photos: Path, models: list[str]) -> None:
    shown = invoke(photos, *models)
    assert shown.exit_code == 0, shown.output
    for name in ("one.png", "two.png", "sub/three.png"):
        assert str(photos / name) in shown.stdout
    for title in ("score", "age", "gender", "expression", "glasses", "yaw pitch roll"):
        assert title in shown.stdout
    assert "32,64 16x16" in shown.stdout
    assert "3 pictures, 6 faces; " in shown.stderr
    assert "detect and face ran on ONNX Runtime" in shown.stderr


@pytest.mark.parametrize("width", [80, 139, 140, 200])
def test_tables_fit_the_terminal(width: int) -> None:
    faces = empty_faces(2)
    for name in FACE.names or ():
        faces[name][0] = 1
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(faces_table("a [b] c.jpg", faces, width))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "a [b] c.jpg" in text
    assert max(map(len, text.splitlines())) <= width
    assert "\u2026" not in text, "nothing is cut off"
    assert "nan" not in text, "the second face has no numbers to show"
    words = " ".join(text.replace("\u2502", " ").split())
    assert ("age 1 ±1, gender female 100%" in words) == (width < 140)


def test_json_lines_hold_the_faces(photos: Path, models: list[str], tmp_path: Path) -> None:
    out = tmp_path / "faces.jsonl"
    shown = invoke(photos, *models, "--json", out, "--quiet")
    assert (shown.exit_code, shown.output) == (0, "")
    lines = lines_of(out.read_text())
    assert [Path(line["source"]).name for line in lines] == ["one.png", "three.png", "two.png"]
    assert [len(line["faces"]) for line in lines] == [1, 3, 2]
    face = lines[0]["faces"][0]
    assert tuple(face) == FACE.names
    assert face["box"] == pytest.approx([32, 64, 48, 80], abs=1)
    assert sum(face["gender"].values()) == pytest.approx(1, abs=1e-4)
    assert list(face["gender"]) == list(GENDERS)
    assert lines[0]["ran_on"]["detect"].startswith("ONNX Runtime")


def test_json_on_standard_output_is_alone_there(photos: Path, models: list[str]) -> None:
    shown = invoke(photos, *models, "--json", "-")
    assert shown.exit_code == 0
    assert [len(line["faces"]) for line in lines_of(shown.stdout)] == [1, 3, 2]
    assert "3 pictures, 6 faces" in shown.stderr


def test_drawings_are_written(photos: Path, models: list[str], tmp_path: Path) -> None:
    shown = invoke(photos, *models, "--draw", tmp_path / "drawn")
    assert shown.exit_code == 0
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in drawn] == ["one.faces.jpg", "three.faces.jpg", "two.faces.jpg"]
    picture = cv2.imread(str(drawn[0]))
    assert picture is not None
    original = tiny.squares(320, 240, CORNERS[0])
    assert np.abs(picture.astype(int) - original).max() > 100


def test_a_picture_without_faces_says_so(models: list[str], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "black.png"), tiny.squares(64, 64))
    shown = invoke(tmp_path / "black.png", *models)
    assert shown.exit_code == 0
    assert shown.stdout == f"{tmp_path}/black.png: no faces\n"
    assert "1 picture, 0 faces" in shown.stderr


@pytest.mark.parametrize(
    ("attributes", "measured"),
    [
        ("age,gender", {"age", "age_spread", "gender"}),
        (" smile , pose", {"smile", "pose"}),
        ("none", set()),
    ],
)
def test_only_the_attributes_asked_for_are_measured(
    photos: Path, models: list[str], attributes: str, measured: set[str]
) -> None:
    shown = invoke(photos / "one.png", *models, "--json", "-", "--attributes", attributes)
    assert shown.exit_code == 0, shown.output
    face = lines_of(shown.stdout)[0]["faces"][0]
    assert {name for name, value in face.items() if value is not None} == measured | {
        "box",
        "score",
        "points",
    }


def test_min_score_and_threads_reach_the_analyzer(photos: Path, models: list[str]) -> None:
    shown = invoke(photos, *models, "--min-score", "0.99999", "--threads", "1", "--json", "-")
    assert shown.exit_code == 0
    assert [line["faces"] for line in lines_of(shown.stdout)] == [[], [], []]
    assert "CPU, 1 thread" in shown.stderr


# What goes wrong


def test_bad_inputs_are_named_and_the_others_go_on(photos: Path, models: list[str], tmp_path: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "text.jpg").write_text("no picture")
    shown = invoke(photos, photos / "gone.jpg", *models, "--json", tmp_path / "out.jsonl")
    assert shown.exit_code == 3
    failures = [line for line in shown.stderr.splitlines() if line.startswith("vultus: ")]
    assert [line.split(": ")[1] for line in failures] == [
        str(photos / name) for name in ("empty.jpg", "text.jpg", "gone.jpg")
    ]
    assert "3 pictures, 6 faces, 3 failed" in shown.stderr
    assert len(lines_of((tmp_path / "out.jsonl").read_text())) == 3


@pytest.mark.parametrize("size", [(1, 2), (1, 1), (20000, 10), (10, 20000)])
def test_odd_sizes_run_to_the_end(models: list[str], tmp_path: Path, size: tuple[int, int]) -> None:
    cv2.imwrite(str(tmp_path / "odd.png"), np.full((size[1], size[0], 3), 255, np.uint8))
    shown = invoke(tmp_path / "odd.png", *models, "--json", "-", "--draw", tmp_path / "drawn")
    assert shown.exit_code == 0, shown.output
    line = lines_of(shown.stdout)[0]
    assert (line["width"], line["height"]) == size
    drawn = cv2.imread(str(tmp_path / "drawn" / "odd.faces.jpg"))
    assert drawn is not None
    assert drawn.shape[:2] == size[::-1]


def test_nothing_readable_is_three_too(models: list[str], tmp_path: Path) -> None:
    shown = invoke(tmp_path, *models)
    assert shown.exit_code == 3
    assert "no pictures in this folder or below it" in shown.stderr
    assert "0 pictures, 0 faces, 1 failed" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--attributes", "agee"],
            2,
            "unknown attributes 'agee'; expected a list of names out of: landmarks",
        ),
        (["--attributes", ""], 2, "unknown attributes ''"),
        (["--min-score", "2"], 2, "--min-score takes a number above 0 and below 1, not 2"),
        (["--threads", "0"], 2, "threads must be at least 1; it is 0"),
        (["--json", "{}/gone/out.jsonl"], 5, "out.jsonl: cannot be written: the folder"),
        (["--json", "{}"], 5, "cannot be written: Is a directory"),
        (
            ["--draw", "{}/photos/one.png"],
            5,
            "one.png is a file; --draw takes a folder, which is made when absent",
        ),
    ],
)
def test_impossible_requests_end_as_one_line(
    photos: Path, models: list[str], tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    shown = invoke(photos, *models, *(argument.format(tmp_path) for argument in arguments))
    assert shown.exit_code == code, shown.output
    assert shown.stdout == ""
    assert shown.stderr.startswith("vultus: ")
    assert message in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_models_that_cannot_be_used_are_four(photos: Path, tmp_path: Path, tiny_face: Path) -> None:
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(tiny_face.read_bytes()[:500])
    for model, message in ((tmp_path / "gone.onnx", "there is no model file"), (torn, "torn.onnx")):
        shown = invoke(photos, "--models", model)
        assert shown.exit_code == 4, shown.output
        assert message in shown.stderr
        assert shown.stderr.count("\n") == 1


def test_a_device_that_cannot_be_had_is_four(photos: Path, models: list[str]) -> None:
    from vultus.engines.devices import cuda_problem

    if not cuda_problem():
        pytest.skip("this machine has a GPU")
    shown = invoke(photos, *models, "--device", "cuda")
    assert shown.exit_code == 4
    assert "device 'cuda' was asked for, but" in shown.stderr


def test_a_full_disk_ends_the_run(photos: Path, models: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this machine")
    shown = invoke(photos, *models, "--json", "/dev/full")
    assert shown.exit_code == 5
    assert "/dev/full: cannot be written: No space left on device" in shown.stderr


# Pipes, signals, terminals: the whole program


def test_names_come_from_standard_input(photos: Path, models: list[str]) -> None:
    names = "".join(f"{path}\n" for _, path in find_pictures([photos]))
    done = ran("-", *models, "--quiet", "--json", "-", input=names)
    assert (done.returncode, done.stderr) == (0, "")
    assert [len(line["faces"]) for line in lines_of(done.stdout)] == [1, 3, 2]


def test_image_libraries_do_not_clutter_standard_error(photos: Path, models: list[str]) -> None:
    noisy = bytearray((photos / "one.png").read_bytes())
    noisy[60] ^= 0xFF  # libpng complains of the checksum on standard error
    (photos / "noisy.png").write_bytes(noisy)
    done = ran(photos, *models, "--quiet")
    assert done.returncode == 3
    assert done.stderr.startswith(f"vultus: {photos}/noisy.png: this PNG picture is damaged")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("json_too", [True, False])
def test_a_reader_that_leaves_ends_the_run_quietly(photos: Path, models: list[str], json_too: bool) -> None:
    command = [*VULTUS, "run", str(photos), *models, "--quiet" if json_too else "--attributes=age"]
    command += ["--json", "-"] if json_too else []
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "vultus: interrupted\n"), (signal.SIGTERM, 143, "")]
)
def test_signals_leave_nothing_half_written(
    photos: Path, models: list[str], tmp_path: Path, number: signal.Signals, code: int, said: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "faces.jsonl").write_text("old\n")
    command = [
        *VULTUS,
        "run",
        "-",
        *models,
        "--json",
        str(out / "faces.jsonl"),
        "--draw",
        str(tmp_path / "drawn"),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdin is not None
        run.stdin.write(f"{photos / 'one.png'}\n")
        run.stdin.flush()
        wait_for(tmp_path / "drawn" / "one.faces.jpg")
        run.send_signal(number)
        assert run.wait(60) == code
        assert run.stderr is not None
        assert run.stderr.read() == said
    assert [path.name for path in out.iterdir()] == ["faces.jsonl"]
    assert (out / "faces.jsonl").read_text() == "old\n"


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def test_many_pictures_bring_a_progress_bar_on_a_terminal_alone(photos: Path, models: list[str]) -> None:
    for copy in range(8):
        cv2.imwrite(str(photos / f"more{copy}.png"), tiny.squares(64, 64))
    assert "pictures" not in ran(photos, *models, "--json", "-").stderr.replace("11 pictures", "")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [*VULTUS, "run", str(photos), *models]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, timeout=120)
    os.close(theirs)
    seen = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert (done.returncode, done.stdout) == (0, b"")
    assert "/11" in seen
    assert "11 pictures, 6 faces" in seen


def test_memory_stays_flat(photos: Path, models: list[str]) -> None:
    code = (
        "import resource, sys\nfrom vultus.cli import app\n"
        "try: app(sys.argv[1:])\nexcept SystemExit: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    large = photos / "large.bmp"
    cv2.imwrite(str(large), np.random.default_rng(3).integers(0, 255, (900, 1200, 3), np.uint8))

    def peak(count: int) -> int:
        command = [sys.executable, "-c", code, "run", "-", "--quiet", "--json", os.devnull, *models]
        names = f"{large}\n" * count
        done = subprocess.run(command, input=names, capture_output=True, text=True, check=True, timeout=120)
        return int(done.stdout)

    assert peak(200) - peak(20) < 15_000, "kilobytes of growth over 180 pictures of 3 MB each"
