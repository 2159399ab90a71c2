"""The command as a user types it: what it writes, what it says, how it exits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import typer
from onnx import numpy_helper
from typer.testing import CliRunner, Result

import tiny
from vultus_export.files import load_model
from vultus_export.fuse.assemble import fused_model
from vultus_export.fuse.command import fuse
from vultus_export.fuse.prove import made_pictures, prove
from vultus_export.fuse.settings import Settings
from vultus_export.parity import ParityError

app = typer.Typer()
app.command("fuse")(fuse)


@pytest.fixture
def folder(tiny_models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's folder with both networks and a picture of two faces."""
    for path, name in zip(tiny_models, ("D.onnx", "F.onnx"), strict=True):
        (tmp_path / name).write_bytes(path.read_bytes())
    picture = tiny.squares(160, 128, (16, 32), (96, 64))
    assert cv2.imwrite(str(tmp_path / "photo.png"), picture)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


BOTH = ("--detector", "D.onnx", "--face", "F.onnx", "--out", "faces.onnx")


def test_one_file_proved_on_a_picture(folder: Path) -> None:
    result = run(*BOTH, "--pictures", "photo.png", "--max-faces", "5", "--size", "160x128")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("faces.onnx: count, box, score, points, landmarks, pose, age, age_spread")
    assert "Against the runtime, on 1 pictures" in result.stdout
    rows = {words[1]: words for words in map(str.split, result.stdout.splitlines()) if len(words) == 9}
    assert rows["smile"][-2] == "2", "two faces were compared"
    model = load_model(folder / "faces.onnx")
    assert model.graph.output[1].type.tensor_type.shape.dim[0].dim_value == 5


def test_without_pictures_it_says_so_and_without_face_network_it_finds_boxes(folder: Path) -> None:
    result = run("--detector", "D.onnx", "--out", "boxes.onnx")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("boxes.onnx: count, box, score, points;")
    assert "no face in the pictures compared on; --pictures names some with faces" in result.stdout


def test_the_same_command_writes_the_same_bytes(folder: Path) -> None:
    assert run(*BOTH).exit_code == 0
    first = (folder / "faces.onnx").read_bytes()
    assert run(*BOTH).exit_code == 0
    assert (folder / "faces.onnx").read_bytes() == first


FAULTS = [
    (("--detector", "F.onnx", "--out", "x.onnx"), 1, "error: model 'tiny-face' is no detector"),
    (("--detector", "none.onnx", "--out", "x.onnx"), 1, "error: there is no model file none.onnx"),
    (
        ("--detector", "D.onnx", "--out", "no/x.onnx"),
        1,
        "error: cannot write no/x.onnx: there is no folder no",
    ),
    ((*BOTH, "--size", "100x100"), 1, "takes sides that are multiples of 32, not --size 100x100"),
    ((*BOTH, "--max-faces", "0"), 1, "max-faces must lie between 1 and the detector's own 512"),
    ((*BOTH, "--min-score", "1"), 1, "error: min-score must be above 0 and below 1; it is 1.0"),
    ((*BOTH, "--pictures", "none.png"), 1, "error: there is no file or folder none.png"),
    ((*BOTH, "--size", "wide"), 2, "--size takes WIDTHxHEIGHT, such as 640x480, not 'wide'"),
]


@pytest.mark.parametrize(("words", "code", "message"), FAULTS, ids=lambda value: str(value)[-30:])
def test_faults_are_one_line_and_write_nothing(
    folder: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    before = sorted(folder.iterdir())
    result = run(*words)
    assert result.exit_code == code
    assert message in result.stderr
    assert sorted(folder.iterdir()) == before


def changed(
    model: onnx.ModelProto, prefix: str, change: Callable[[np.ndarray], np.ndarray]
) -> onnx.ModelProto:
    """Return a copy in which the first weight whose name begins with `prefix` is another."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graphs = [
        copy.graph,
        *(item.g for node in copy.graph.node for item in node.attribute if item.HasField("g")),
    ]
    weight = next(item for graph in graphs for item in graph.initializer if item.name.startswith(prefix))
    array = change(numpy_helper.to_array(weight).copy())
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    return copy


WRONG: list[tuple[str, Callable[[np.ndarray], np.ndarray], str]] = [
    ("face/smile_b", lambda array: array + 2.0, r"smile: \d\S+ over 2 faces, allowed 4"),
    ("detector/b", lambda array: array - 100.0, "in picture 0 only the runtime finds a face, score 1.000"),
    ("constant/cells.anchors", lambda array: array + 1.0, r"box: 0\.0\d+ over 2 faces, allowed 0\.01"),
]


@pytest.mark.parametrize(("name", "change", "message"), WRONG, ids=[row[0] for row in WRONG])
def test_a_file_that_answers_otherwise_is_refused(
    tiny_models: list[Path], name: str, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    detector, face = (load_model(path) for path in tiny_models)
    model = fused_model(detector, face)
    colours = np.linspace(0, 90, 320 * 256 * 3).reshape(256, 320, 3).astype(np.uint8)
    colours[tiny.squares(320, 256, (16, 32), (208, 160)) > 0] = 255
    assert all(item.passed for item in prove(model, detector, face, Settings(), [colours]))
    broken = changed(model, name, change)
    with pytest.raises(ParityError, match=message):
        prove(broken, detector, face, Settings(), [colours])


def test_made_pictures_hold_the_sizes_that_break_resampling() -> None:
    shapes = [picture.shape[:2] for picture in made_pictures()]
    assert (1, 2) in shapes
    assert any(height % 2 and width % 2 and height > 100 for height, width in shapes)
