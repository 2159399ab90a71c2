"""Specs written by hand, in TOML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vultus.errors import SpecError
from vultus.spec import AnchorLevel, DetectorSpec, Head, InputSpec, ModelSpec
from vultus_export.specfile import output_names, read_spec

FACE = """
name = "mine"
version = "3"
task = "face"
licence = "MIT"

[input]
name = "x"
width = 64
height = 48
mean = [104.0, 117.0, 123.0]
scale = [1.0, 1.0, 1.0]

[[heads]]
output = "sex"
kind = "softmax"
field = "gender"
labels = ["male", "female"]
"""
DETECTOR = """
name = "boxes"
version = "1"
task = "detector"
input = { name = "x", width = 640, height = 480, multiple = 32 }

[detector]
decoder = "anchors"
levels = [{ output = "p3", stride = 8, sizes = [16.0], densities = [1] }]
"""


def written(folder: Path, text: str) -> Path:
    (folder / "spec.toml").write_text(text, encoding="utf-8")
    return folder / "spec.toml"


def test_a_face_network(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, FACE))
    input_spec = InputSpec("x", 64, 48, mean=(104.0, 117.0, 123.0), scale=(1.0, 1.0, 1.0))
    head = Head("sex", "softmax", "gender", ("male", "female"))
    assert spec == ModelSpec("mine", "3", "face", input_spec, heads=(head,), licence="MIT")
    assert output_names(spec) == ("sex",)


def test_a_detector(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, DETECTOR))
    assert spec.detector == DetectorSpec("anchors", (AnchorLevel("p3", 8, (16.0,), (1,)),))
    assert output_names(spec) == ("p3",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "spec.toml is not a model spec in TOML"),
        (FACE.replace('kind = "softmax"', 'kind = "argmax"'), "malformed spec: Invalid enum value 'argmax'"),
        (FACE.replace('kind = "softmax"', 'kind = "argmax"'), "; expected one of: softmax, sigmoid, "),
        (FACE.replace('task = "face"', 'task = "pose"'), "; expected one of: detector, face"),
        (FACE.replace("[input]", '[input]\nchannels = "BRG"'), "; expected one of: BGR, RGB"),
        (FACE.replace('"gender"', '"hat"'), "writes to 'hat', which is no field of the FACE record"),
        (FACE + "\n[other]\nx = 1\n", "unknown keys: $.other"),
        ("schema = 99\n" + FACE, "schema 99"),
        (FACE.replace('version = "3"', "version = 2020-01-01"), "holds a value that no spec has"),
        (FACE.replace('task = "face"', 'task = "detector"'), "must have a `detector` part"),
    ],
)
def test_faulty_specs_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        read_spec(written(tmp_path, text))
    assert "spec.toml" in str(caught.value)


def test_a_missing_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot read a model spec .*: No such file"):
        read_spec(tmp_path / "spec.toml")
