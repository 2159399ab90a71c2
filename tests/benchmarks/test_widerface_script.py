"""The WIDER FACE script end to end: made pictures, a detector with known answers, files as the data set has them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import tiny
import wider_files
import widerface
from harness.widerface_find import Finder
from vultus.engines import open_engine
from vultus_export.metrics.identity import sha256_of

WHITE = [(16, 32), (64, 64), (128, 16)]
PICTURES: list[wider_files.Picture] = [
    ("0--Parade", "0_Parade_a_1", [[*corner, 16, 16] for corner in WHITE]),
    ("0--Parade", "0_Parade_b_2", [[32, 32, 16, 16]]),
    ("9--Press", "9_Press_c_3", []),
]
LISTS = {"easy": [[1, 2], [1], []], "medium": [[1, 2, 3], [1], []], "hard": [[1, 2, 3], [1], []]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of white squares; of the second one the truth names a square that is not there."""
    squares = [WHITE, [(64, 64)], [(16, 16)]]
    for (event, name, _), corners in zip(PICTURES, squares, strict=True):
        file = tmp_path / "images" / event / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        scene = tiny.squares(320, 160, *corners)
        assert cv2.imwrite(str(file), scene, [cv2.IMWRITE_JPEG_QUALITY, 100])
    wider_files.save_truth(tmp_path / "truth", PICTURES, LISTS)
    return tmp_path


def run(folder: Path, *more: str) -> dict[str, Any]:
    out = folder / "out.json"
    assert widerface.main(["--truth", str(folder / "truth"), "--json", str(out), *more]) == 0
    return dict(json.loads(out.read_text()))


def test_a_detector_is_measured_and_its_files_give_the_same(folder: Path, tiny_detector: Path) -> None:
    more = [
        "--images",
        str(folder),
        "--detector",
        str(tiny_detector),
        "--protocol",
        "original",
        "--device",
        "cpu",
    ]
    result = run(folder, *more, "--write", str(folder / "found"), "--threads", "1")
    assert result["models"][0]["sha256"] == sha256_of(tiny_detector)
    assert result["protocol"] == "original"
    assert "ONNX Runtime" in result["ran_on"]["detect"]
    assert {"schema", "vultus", "commit", "seconds", "bootstrap", "precision", "min_score"} <= set(result)
    figures = result["widerface"]
    # All three squares of the first picture are found, and one false alarm of equal score on the second.
    assert [figures[name]["n"] for name in ("easy", "medium", "hard")] == [3, 4, 4]
    assert figures["medium"]["recall"] == 0.75
    assert 0.5 < figures["medium"]["ap"] <= 0.75
    assert figures["hard"]["ap"] == figures["medium"]["ap"]
    again = run(folder, "--predictions", str(folder / "found"))
    assert again["missing"] == 0
    for name in figures:
        assert again["widerface"][name]["ap"] == pytest.approx(figures[name]["ap"], abs=1e-3)


def test_missing_files_of_found_faces_count_as_nothing_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = folder / "found" / "0--Parade"
    found.mkdir(parents=True)
    (found / "0_Parade_b_2.txt").write_text("b\n1\n32 32 16 16 0.9\n")
    result = run(folder, "--predictions", str(folder / "found"))
    assert result["missing"] == 2
    assert result["widerface"]["hard"]["ap"] == 0.25
    assert "2 pictures have no file of found faces" in capsys.readouterr().err


@pytest.mark.parametrize(("protocol", "looks"), [("vga", 1), ("original", 1), ("multi", 6)])
def test_protocols_report_boxes_in_the_pictures_own_pixels(
    tiny_detector: Path, protocol: str, looks: int
) -> None:
    scene = tiny.squares(640, 320, (64, 96))
    scene[96:128, 64:96] = 255  # a square of 32, that half size shows as one cell
    with open_engine(tiny_detector, "cpu", 1) as engine:
        finder = Finder(engine, protocol, 0.5)
        boxes, scores = finder(scene)
    assert len(finder._looks(640, 320)) == looks
    assert (scores[:-1] >= scores[1:]).all()
    corners = boxes[:, :2].tolist()
    assert [64.0, 96.0] in [pytest.approx(corner, abs=0.51) for corner in corners]
    assert (boxes[:, :2] >= [63, 95]).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= [97, 129]).all()


def test_the_vga_protocol_brings_the_longer_side_to_640(tiny_detector: Path) -> None:
    scene = cv2.resize(tiny.squares(640, 320, (64, 96)), (1280, 640), interpolation=cv2.INTER_NEAREST)
    with open_engine(tiny_detector, "cpu", 1) as engine:
        boxes, _ = Finder(engine, "vga", 0.5)(np.asarray(scene, np.uint8))
    np.testing.assert_allclose(boxes, [[128, 192, 32, 32]], atol=1.01)


def test_a_detector_of_one_size_is_refused(folder: Path, tmp_path: Path, capsys: Any) -> None:
    spec = replace(tiny.DETECTOR, input=replace(tiny.DETECTOR.input, multiple=0))
    model = tiny.save_detector(tmp_path / "fixed.onnx", spec)
    more = ["--truth", str(folder / "truth"), "--images", str(folder), "--detector", str(model)]
    assert widerface.main([*more, "--device", "cpu"]) == 1
    assert "takes only 320x240; protocol 'vga' needs one whose sides are free" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name either --images, to run a detector on, or --predictions"),
        (["--images", "nowhere"], 1, "there is no picture nowhere/0--Parade/0_Parade_a_1.jpg"),
        (["--predictions", "nowhere"], 1, "nowhere holds no EVENT/NAME.txt of any picture"),
        (["--images", "nowhere", "--detector", "no.onnx"], 1, "there is no model file no.onnx"),
    ],
)
def test_what_cannot_be_used_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    try:
        given = widerface.main(["--truth", str(folder / "truth"), *arguments])
    except SystemExit as error:
        given = int(str(error.code))
    assert given == code
    assert words in capsys.readouterr().err
