"""`vultus models`: what is installed and what a file says of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from typer.testing import CliRunner

import tiny
from vultus.cli import app
from vultus.spec import METADATA_KEY, AnchorLevel, DetectorSpec, spec_from_json, spec_to_json
from vultus.zoo import installed_models


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["models", *map(str, arguments)])


def test_the_list_holds_every_installed_model() -> None:
    shown = invoke("list", "--json")
    rows = json.loads(shown.stdout)
    assert {row["file"] for row in rows} == {str(path) for path in installed_models()}
    assert shown.exit_code == (0 if rows else 4)
    for row in rows:
        assert row["licence"] != "unknown"
        assert row["card"] == row["file"].removesuffix(".onnx") + ".md"
        assert row["mebibytes"] > 0


def test_the_table_names_what_matters(tiny_models: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vultus.zoo.ZOO", tiny_models[0].parent)
    (tiny_models[0].parent / "broken.onnx").write_bytes(b"\0\1")
    try:
        shown = invoke("list")
    finally:
        (tiny_models[0].parent / "broken.onnx").unlink()
    for word in ("tiny-detector", "detector", "320x240", "fp32", "Apache-2.0", "card", "none"):
        assert word in shown.stdout
    assert shown.exit_code == 4
    assert "broken.onnx is not an ONNX model or is damaged" in shown.stderr


def test_an_empty_zoo_is_four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vultus.zoo.ZOO", tmp_path)
    shown = invoke("list")
    assert (shown.exit_code, shown.stdout) == (4, "")
    assert shown.stderr == "vultus: no models are installed; install vultus again\n"


def test_show_prints_the_contract(tiny_detector: Path, tiny_face: Path) -> None:
    shown = invoke("show", tiny_detector)
    assert shown.exit_code == 0, shown.output
    for word in ("tiny-detector", "Finds white squares.", "cells stride 16", "score from 0.5", "Apache-2.0"):
        assert word in shown.stdout
    shown = invoke("show", tiny_face)
    assert "age: group_age of age" in shown.stdout
    assert "float32 (batch, 3, height, width), BGR" in shown.stdout


def test_levels_without_anchors_have_no_sizes(tiny_detector: Path, tmp_path: Path) -> None:
    assert "cells stride 16 anchor sizes" in invoke("show", tiny_detector).stdout
    level = AnchorLevel("heatmap", 4)
    spec = replace(tiny.DETECTOR, detector=DetectorSpec("centerface", (level,)))
    model = onnx.load(tiny_detector)
    onnx.helper.set_model_props(model, {METADATA_KEY: spec_to_json(spec)})
    onnx.save(model, tmp_path / "foreign.onnx")
    shown = invoke("show", tmp_path / "foreign.onnx").stdout
    assert "heatmap stride 4" in shown
    assert "sizes" not in shown


def test_show_as_json_is_the_spec_itself(tiny_detector: Path) -> None:
    shown = invoke("show", tiny_detector, "--json")
    assert spec_from_json(shown.stdout) == tiny.DETECTOR


def test_an_installed_model_needs_no_path(tiny_detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vultus.zoo.ZOO", tiny_detector.parent)
    assert "tiny-detector" in invoke("show", tiny_detector.stem).stdout


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("gone.onnx", None, "there is no model file {}; installed models: "),
        ("empty.onnx", b"", "{} is not an ONNX model or is damaged"),
        ("text.onnx", b"hello, this is no model", "{} is not an ONNX model or is damaged"),
        (".", None, "the model file {} cannot be read: Is a directory"),
    ],
)
def test_files_that_are_no_models_are_four(
    tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    shown = invoke("show", path)
    assert (shown.exit_code, shown.stdout) == (4, "")
    assert shown.stderr.startswith(f"vultus: {message.format(path)}")
    assert shown.stderr.count("\n") == 1


def test_another_version_of_the_spec_is_refused(tiny_detector: Path, tmp_path: Path) -> None:
    other = tmp_path / "future.onnx"
    other.write_bytes(tiny_detector.read_bytes().replace(b'"schema":1', b'"schema":9'))
    shown = invoke("show", other)
    assert shown.exit_code == 4
    assert f"{other} has a spec of schema 9, this vultus reads schema 1" in shown.stderr
