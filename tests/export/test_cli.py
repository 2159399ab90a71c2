"""The commands as a user types them: what they write, what they say, how they exit."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner, Result

import nets
import tiny
from vultus.onnxfile import spec_from_onnx
from vultus_export.cli import app
from vultus_export.files import load_model, save_model

SPEC = """
name = "mine"
version = "3"
task = "face"
input = { name = "image", width = 32, height = 32 }
heads = [
  { output = "points", kind = "landmarks", field = "landmarks", count = 68 },
  { output = "gender", kind = "softmax", field = "gender", labels = ["female", "male"] },
  { output = "smile", kind = "percent", field = "smile" },
]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's folder: a spec, a module of their own, a picture."""
    (tmp_path / "spec.toml").write_text(SPEC)
    (tmp_path / "my_net.py").write_text(
        "import nets\nmake = nets.make_face\nlimit = 3\n\ndef text():\n    return 'no network'\n"
    )
    pixels = np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "photo.png"), pixels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def test_a_users_own_module(folder: Path) -> None:
    result = run(
        *("onnx", "--module", "my_net:make", "--spec", "spec.toml", "--out", "mine.onnx"),
        *("--attributes", "gender, smile", "--pictures", "photo.png"),
    )
    assert result.exit_code == 0, result.output
    assert "mine.onnx: mine 3, face, fp32," in result.stdout
    assert "Parity on random and 1 real pictures" in result.stdout
    spec = spec_from_onnx(folder / "mine.onnx")
    assert [head.field for head in spec.heads] == ["gender", "smile"]


def test_a_users_checkpoint_is_loaded(folder: Path, face_model: onnx.ModelProto) -> None:
    network = nets.seeded(nets.SmallFace(), seed=9)
    torch.save({"model": network.state_dict()}, "best.pt")
    words = (
        "--module",
        "my_net:make",
        "--spec",
        "spec.toml",
        "--checkpoint",
        "best.pt",
        "--out",
        "mine.onnx",
    )
    assert run("onnx", *words).exit_code == 0
    stored = {
        item.name: onnx.numpy_helper.to_array(item)
        for item in load_model(folder / "mine.onnx").graph.initializer
    }
    assert np.array_equal(
        stored["heads.smile.weight"], network.get_parameter("heads.smile.weight").detach().numpy()
    )


def test_adopting(folder: Path, face_model: onnx.ModelProto) -> None:
    save_model(face_model, folder / "foreign.onnx")
    result = run("adopt", "foreign.onnx", "--spec", "spec.toml", "--out", "own.onnx")
    assert result.exit_code == 0, result.output
    assert "see --pictures" in result.stdout
    assert spec_from_onnx(folder / "own.onnx").name == "mine"
    assert [item.name for item in load_model(folder / "own.onnx").graph.output] == [
        "points",
        "gender",
        "smile",
    ]


MODULE = ("--module", "my_net:make", "--spec", "spec.toml")
FAULTS = [
    (
        ("onnx", "none-such", "--checkpoint", "x.pt"),
        "there is no recipe 'none-such'; name a TOML file or one of:",
    ),
    (("onnx", "none.toml", "--checkpoint", "x.pt"), "cannot read a recipe none.toml: No such file"),
    (
        ("onnx", "spec.toml", "--checkpoint", "x.pt"),
        "names the system None; expected one that",
    ),
    (("onnx", *MODULE, "--checkpoint", "none.pt"), "there is no checkpoint none.pt"),
    (("onnx", *MODULE, "--attributes", "age"), "cannot keep age of model 'mine'"),
    (("onnx", *MODULE, "--pictures", "none"), "there is no file or folder none"),
    (
        ("onnx", "--module", "my_net", "--spec", "spec.toml"),
        "'my_net' names no factory; expected package.module:",
    ),
    (
        ("onnx", "--module", "no_net:make", "--spec", "spec.toml"),
        "cannot import 'no_net:make': No module named",
    ),
    (("onnx", "--module", "my_net:none", "--spec", "spec.toml"), "has no attribute 'none'"),
    (
        ("onnx", "--module", "my_net:limit", "--spec", "spec.toml"),
        "'my_net:limit' is a int; expected a function",
    ),
    (("onnx", "--module", "my_net:text", "--spec", "spec.toml"), "returned str; expected a torch.nn.Module"),
    (("onnx", "--module", "my_net:make", "--spec", "no.toml"), "cannot read a model spec no.toml"),
    (("adopt", "none.onnx", "--spec", "spec.toml"), "there is no model file none.onnx"),
    (("adopt", "photo.png", "--spec", "spec.toml"), "photo.png is not an ONNX model"),
]


@pytest.mark.parametrize(("words", "message"), FAULTS, ids=[fault[1][:30] for fault in FAULTS])
def test_faults_are_one_line_and_leave_nothing(words: tuple[str, ...], message: str, folder: Path) -> None:
    before = sorted(os.listdir(folder))
    result = run(*words, "--out", "new.onnx")
    assert result.exit_code == 1, result.output
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(item for item in os.listdir(folder) if item != "__pycache__") == before


def test_a_folder_that_is_not_there_is_refused_before_the_work(folder: Path) -> None:
    result = run("onnx", *MODULE, "--out", "none/new.onnx")
    assert result.exit_code == 1
    assert "cannot write none/new.onnx: there is no folder none" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("onnx",),
        ("onnx", "a.toml", "--module", "my_net:make"),
        ("onnx", "a.toml"),
        ("onnx", "--module", "my_net:make"),
        ("onnx", "a.toml", "--checkpoint", "x.pt", "--spec", "spec.toml"),
        ("adopt", "a.onnx"),
        ("fly",),
        ("quantize", "a.onnx"),
        ("quantize", "a.onnx", "--precision", "int4"),
        ("engine", "a.onnx", "--batch", "8,1"),
        ("engine", "a.onnx", "--size", "wide"),
    ],
)
def test_usage_exits_with_two(words: tuple[str, ...], folder: Path) -> None:
    assert run(*words, "--out", "new.onnx").exit_code == 2


@pytest.mark.parametrize("words", [(), ("onnx",), ("adopt",), ("quantize",), ("bundle",), ("bundle-key",)])
def test_every_command_has_help(words: tuple[str, ...]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "--out" in result.stdout or "Exit codes" in result.stdout


def test_quantize_writes_model_and_manifest(folder: Path, tiny_detector: Path) -> None:
    (folder / "photos").mkdir()
    assert cv2.imwrite(str(folder / "photos" / "a.png"), tiny.squares(96, 64, (16, 16), (64, 32)))
    words = (
        "quantize",
        str(tiny_detector),
        "--precision",
        "int8",
        "--calibration",
        "photos",
        "--out",
        "low.onnx",
    )
    result = run(*words)
    assert result.exit_code == 0, result.output
    for line in (
        "low.onnx: tiny-detector 1.0.0, detector, int8,",
        "on 1 pictures (task loss: minmax",
        "kept in higher",
        "caution: calibrated on 1 picture alone: values that they do not hold are cut off in use; give 64 or more",
        "caution: too few pictures to hold some out",
        "caution: the loss was measured on 2 faces alone",
        "judge the model before you use it: vultus-export check",
    ):
        assert line in result.stdout
    assert "calibrating: 1 of 1, 0 s" in result.stderr
    assert spec_from_onnx(folder / "low.onnx").precision == "int8"
    assert (folder / "low.calibration.json").is_file()


def test_installed_models_need_no_path(
    folder: Path, tiny_detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vultus.zoo.ZOO", tiny_detector.parent)
    result = run("quantize", tiny_detector.stem, "--precision", "fp16", "--out", "low.onnx")
    assert result.exit_code == 0, result.output
    assert spec_from_onnx(folder / "low.onnx").precision == "fp16"
    result = run("quantize", "gone", "--precision", "fp16", "--out", "other.onnx")
    assert f"error: there is no model file gone; installed models: {tiny_detector.stem}" in result.stderr


def test_quantize_without_pictures(folder: Path, tiny_detector: Path) -> None:
    words = ("quantize", str(tiny_detector), "--precision", "fp16", "--out", "low.onnx")
    assert "no layer was measured: no pictures were given" in run(*words).stdout
    result = run("quantize", str(tiny_detector), "--precision", "int8", "--out", "other.onnx")
    assert result.exit_code == 1
    assert "error: precision 'int8' is calibrated on pictures" in result.stderr
    assert not (folder / "other.onnx").exists()
