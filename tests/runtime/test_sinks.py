"""Outputs that are complete or absent, and drawings that never overwrite each other."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vultus.errors import SinkError
from vultus.sinks import DrawSink, JsonLinesSink, Sink
from vultus.types import Frame, Result, empty_faces

GREY = Frame(np.full((40, 60, 3), 128, np.uint8))


def result(index: int = 0, faces: Any = None) -> Result:
    return Result(index, 0.0, empty_faces() if faces is None else faces)


def write_lines(sink: Sink, count: int) -> None:
    with sink:
        for index in range(count):
            sink.write(f"{index}.jpg", result(index), GREY)


def write_and_raise(sink: Sink, error: type[BaseException]) -> None:
    with sink:
        sink.write("a.jpg", result(), GREY)
        raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lines_arrive_in_order(tmp_path: Path, count: int) -> None:
    write_lines(JsonLinesSink(tmp_path / "out.jsonl"), count)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == [f"{index}.jpg" for index in range(count)]
    assert names(tmp_path) == ["out.jsonl"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, BrokenPipeError])
def test_an_interrupted_file_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    (tmp_path / "out.jsonl").write_text("old\n")
    with pytest.raises(error):
        write_and_raise(JsonLinesSink(tmp_path / "out.jsonl"), error)
    assert (tmp_path / "out.jsonl").read_text() == "old\n"
    assert names(tmp_path) == ["out.jsonl"]


def test_the_target_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with JsonLinesSink(target) as sink:
        sink.write("a.jpg", result(), GREY)
        assert not target.exists()
    assert target.exists()


def test_files_get_the_rights_of_new_files_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    write_lines(JsonLinesSink(tmp_path / "link.jsonl"), 1)
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "link.jsonl").is_symlink()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("real.jsonl", "plain")}
    assert len(modes) == 1


def test_devices_and_pipes_are_written_through(tmp_path: Path) -> None:
    write_lines(JsonLinesSink(os.devnull), 2)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.extend(pipe.read_text().splitlines()))
    reader.start()
    write_lines(JsonLinesSink(pipe), 3)
    reader.join(10)
    assert len(heard) == 3
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_gets_each_line_at_once() -> None:
    code = (
        "import numpy as np, os, sys\n"
        "from vultus.sinks import JsonLinesSink\n"
        "from vultus.types import Frame, Result, empty_faces\n"
        "with JsonLinesSink('-') as sink:\n"
        "    sink.write('a', Result(0, 0.0, empty_faces()), Frame(np.zeros((2, 2, 3), np.uint8)))\n"
        "    os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout)["source"] == "a"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("missing/out.jsonl", "cannot be written: the folder .*missing does not exist; make it first"),
        ("file/out.jsonl", "cannot be written: Not a directory"),
        (".", "cannot be written: Is a directory"),
    ],
)
def test_targets_that_cannot_be_written_are_named(tmp_path: Path, target: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=reason) as caught:
        JsonLinesSink(tmp_path / target).__enter__()
    assert str(caught.value).startswith(str(tmp_path / target))


def test_a_full_disk_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this machine")
    with pytest.raises(SinkError, match="/dev/full: cannot be written: No space left on device"):
        write_lines(JsonLinesSink("/dev/full"), 1)


def test_sinks_must_be_opened() -> None:
    with pytest.raises(SinkError, match="this sink is not open; use it in a with statement"):
        JsonLinesSink("out.jsonl").write("a", result(), GREY)


# Drawings


def test_names_never_collide(tmp_path: Path) -> None:
    sources = ["x/a.jpg", "y/a.png", "z/A.jpg", "a-2.jpg", "x/a.jpg", "no_suffix", ".jpg"]
    with DrawSink(tmp_path / "deep" / "er") as sink:
        for source in sources:
            sink.write(source, result(), GREY)
    assert names(tmp_path / "deep" / "er") == sorted(
        f"{stem}.faces.jpg" for stem in ("a", "a-2", "A-3", "a-2-2", "a-4", "no_suffix", ".jpg")
    )


def test_drawing_into_the_folder_of_the_pictures_leaves_them_alone(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"the picture")
    with DrawSink(tmp_path) as sink:
        sink.write(str(picture), result(), GREY)
    assert picture.read_bytes() == b"the picture"
    assert names(tmp_path) == ["a.faces.jpg", "a.jpg"]


def test_drawings_hold_the_faces(tmp_path: Path) -> None:
    faces = empty_faces(1)
    faces["box"] = (10, 10, 40, 35)
    with DrawSink(tmp_path) as sink:
        sink.write("plain.jpg", result(), GREY)
        sink.write("faces.jpg", result(faces=faces), GREY)
    plain, drawn = (cv2.imread(str(tmp_path / f"{name}.faces.jpg")) for name in ("plain", "faces"))
    assert plain is not None
    assert drawn is not None
    assert plain.shape == drawn.shape == (40, 60, 3)
    assert np.ptp(plain) < 4
    assert np.ptp(drawn) > 40


def test_pictures_too_long_for_jpeg_become_png(tmp_path: Path) -> None:
    long = Frame(np.zeros((2, 65600), np.uint8), "GRAY")
    with DrawSink(tmp_path) as sink:
        sink.write("long.jpg", result(), long)
    assert names(tmp_path) == ["long.faces.png"]


def test_long_names_are_cut(tmp_path: Path) -> None:
    with DrawSink(tmp_path) as sink:
        sink.write("ü" * 120 + ".jpg", result(), GREY)
    assert names(tmp_path) == ["ü" * 100 + ".faces.jpg"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="file: cannot be written: File exists"):
        DrawSink(tmp_path / "file").__enter__()
