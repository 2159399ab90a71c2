"""The FDDB script end to end: made pictures, a detector with known answers, files as the data set has them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

import fddb
import fddb_files
import tiny
from vultus_export.metrics.identity import sha256_of

WHITE = [(16, 32), (64, 64), (128, 16)]
DISC = math.pi / 4
"""Ratio of a cell with the circle inside of it."""


def circle(x: float, y: float) -> list[float]:
    """Return the circle within the cell whose corner is given."""
    return [8, 8, 0.5, x + 8, y + 8]


FOLDS: dict[str, list[fddb_files.Picture]] = {
    "01": [
        ("2002/07/19/big/img_130", [circle(*corner) for corner in WHITE]),
        ("2002/07/19/big/img_7", [circle(32, 32)]),
    ],
    "02": [("2003/01/02/big/img_1", [])],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of white squares; of the second one the truth names a face that is not there."""
    squares = [WHITE, [(64, 64)], [(16, 16)]]
    names = [name for pictures in FOLDS.values() for name, _ in pictures]
    for name, corners in zip(names, squares, strict=True):
        file = tmp_path / "originalPics" / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        scene = tiny.squares(320, 160, *corners)
        assert cv2.imwrite(str(file), scene, [cv2.IMWRITE_JPEG_QUALITY, 100])
    fddb_files.save_truth(tmp_path / "truth", FOLDS)
    return tmp_path


def arguments(folder: Path, *more: str) -> list[str]:
    return ["--truth", str(folder / "truth"), "--images", str(folder), *more]


def run(folder: Path, *more: str) -> dict[str, Any]:
    out = folder / "out.json"
    assert fddb.main(arguments(folder, "--json", str(out), *more)) == 0
    return dict(json.loads(out.read_text()))


def test_a_detector_is_measured_and_its_files_give_the_same(
    folder: Path, tiny_detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = ["--detector", str(tiny_detector), "--protocol", "original", "--device", "cpu"]
    result = run(folder, *detector, "--write", str(folder / "found"), "--threads", "1")
    assert result["models"][0]["sha256"] == sha256_of(tiny_detector)
    assert result["protocol"] == "original"
    assert "ONNX Runtime" in result["ran_on"]["detect"]
    assert {"schema", "vultus", "commit", "seconds", "bootstrap", "precision", "min_score"} <= set(result)
    assert result["folds"] == ["01", "02"]
    figures = result["fddb"]
    # Three of four faces are found, and the squares of the other two pictures are false alarms.
    assert (figures["n"], figures["pictures"], figures["false_positives"]) == (4, 3, 2)
    for false in (100, 500, 1000, 2000):
        assert figures[f"discrete_{false}"] == 0.75
        assert figures[f"continuous_{false}"] == pytest.approx(0.75 * DISC, abs=0.02)
    assert set(figures["ci95"]) == {key for key in figures if key.startswith(("discrete", "continuous"))}
    seen = capsys.readouterr()
    assert "discrete   TPR at false positives  100: 0.7500" in seen.out
    assert "4 faces, 3 pictures, 2 false positives" in seen.out
    assert "holds 2 of 10 folds" in seen.err
    again = run(folder, "--predictions", str(folder / "found"))
    assert (again["missing"], again["models"], again["protocol"]) == (0, [], "predictions")
    assert again["fddb"] == {
        key: value if key == "ci95" else pytest.approx(value, abs=1e-3) for key, value in figures.items()
    } | {"ci95": again["fddb"]["ci95"]}


def test_missing_pictures_in_found_faces_count_as_nothing_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = folder / "found"
    found.mkdir()
    (found / "fold-01-out.txt").write_text("2002/07/19/big/img_7\n1\n32 32 16 16 0.9\n")
    result = run(folder, "--predictions", str(found))
    assert result["missing"] == 2
    assert result["fddb"]["discrete_100"] == 0.25
    assert result["fddb"]["continuous_100"] == pytest.approx(0.25 * DISC, abs=1e-5)
    assert "2 pictures stand in no file of found faces" in capsys.readouterr().err


def test_empty_files_of_found_faces_give_nothing(folder: Path) -> None:
    found = folder / "found"
    found.mkdir()
    (found / "fold-01-out.txt").write_text("")
    result = run(folder, "--predictions", str(found))
    assert result["missing"] == 3
    assert (result["fddb"]["discrete_2000"], result["fddb"]["false_positives"]) == (0, 0)


def test_a_detector_of_one_size_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = replace(tiny.DETECTOR, input=replace(tiny.DETECTOR.input, multiple=0))
    model = tiny.save_detector(tmp_path / "fixed.onnx", spec)
    assert fddb.main(arguments(folder, "--detector", str(model), "--device", "cpu")) == 1
    assert "takes only 320x240; protocol 'vga' needs one whose sides are free" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--images", "nowhere"], 1, "there is no picture nowhere/2002/07/19/big/img_130.jpg"),
        (["--truth", "nowhere"], 1, "nowhere holds no picture in any FDDB-fold-XX-ellipseList.txt"),
        (["--predictions", "nowhere"], 1, "nowhere holds no fold-XX-out.txt of any fold"),
        (["--detector", "no.onnx"], 1, "there is no model file no.onnx"),
        (["--predictions", "a", "--write", "b"], 2, "leave out --detector and --write"),
        (["--protocol", "none"], 2, "invalid choice: 'none'"),
    ],
)
def test_what_cannot_be_used_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, words: str
) -> None:
    try:
        given = fddb.main(arguments(folder, *more))
    except SystemExit as error:
        given = int(str(error.code))
    assert given == code
    assert words in capsys.readouterr().err


def test_a_damaged_file_is_one_line_and_leaves_no_result(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "truth" / "FDDB-fold-02-ellipseList.txt"
    file.write_text("2003/01/02/big/img_1\n1\n8 8 0.5 40\n")
    assert fddb.main(arguments(folder, "--json", str(folder / "out.json"))) == 1
    seen = capsys.readouterr().err
    assert seen.startswith(f"fddb: {file}, line 3: expected 6 numbers")
    assert seen.count("\n") == 1
    assert not (folder / "out.json").exists()


def test_a_missing_picture_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "originalPics" / "2002/07/19/big/img_7.jpg").unlink()
    (folder / "found").mkdir()
    (folder / "found" / "fold-01-out.txt").write_text("")
    assert fddb.main(arguments(folder, "--predictions", str(folder / "found"))) == 1
    assert "there is no picture" in capsys.readouterr().err.splitlines()[-1]
