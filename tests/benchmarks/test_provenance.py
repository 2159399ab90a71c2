"""What a result says of itself: the models that were chosen, the commit, and files written whole."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from harness.provenance import choose_models, commit_of, joined_precision, write_json
from vultus import zoo
from vultus.errors import ModelError
from vultus_export.metrics.identity import model_entry


@pytest.fixture
def small_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a zoo with two default models, the detector at fp16 too, and another fp16 face network."""
    tiny.save_detector(tmp_path / "tiny-detector.onnx")
    tiny.save_face_network(tmp_path / "tiny-face.onnx")
    half = replace(tiny.DETECTOR, name="tiny-detector-fp16", precision="fp16")
    tiny.save_detector(tmp_path / "tiny-detector-fp16.onnx", half)
    other = replace(tiny.FACE_NETWORK, name="large-face-fp16", precision="fp16")
    tiny.save_face_network(tmp_path / "large-face-fp16.onnx", other)
    (tmp_path / "default.json").write_text(json.dumps({"models": ["tiny-detector.onnx", "tiny-face.onnx"]}))
    monkeypatch.setattr(zoo, "ZOO", tmp_path)
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_the_default_models_are_chosen_unless_others_are_named(small_zoo: Path) -> None:
    defaults = ["tiny-detector.onnx", "tiny-face.onnx"]
    assert names(choose_models([], None)) == defaults
    assert names(choose_models([], "fp32")) == defaults
    assert choose_models([small_zoo / "large-face-fp16.onnx"], None) == [small_zoo / "large-face-fp16.onnx"]


def test_a_precision_means_the_default_models_at_that_precision(small_zoo: Path) -> None:
    with pytest.raises(ModelError, match="no installed model is tiny-face at fp16; build one or name it"):
        choose_models([], "fp16")
    half = replace(tiny.FACE_NETWORK, name="tiny-face-fp16", precision="fp16")
    tiny.save_face_network(small_zoo / "tiny-face-fp16.onnx", half)
    assert names(choose_models([], "fp16")) == ["tiny-detector-fp16.onnx", "tiny-face-fp16.onnx"]


def test_a_file_of_another_precision_than_asked_is_refused(small_zoo: Path) -> None:
    with pytest.raises(ModelError, match=r"large-face-fp16\.onnx is of precision fp16, not fp32"):
        choose_models([small_zoo / "large-face-fp16.onnx"], "fp32")


def test_precisions_are_joined_when_they_differ(small_zoo: Path) -> None:
    entries = [
        model_entry(path) for path in (small_zoo / "tiny-face.onnx", small_zoo / "large-face-fp16.onnx")
    ]
    assert joined_precision(entries) == "fp32+fp16"
    assert joined_precision(entries[:1]) == "fp32"


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_says_when_files_differ_from_it(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("x")
    assert commit_of(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert commit_of(tmp_path) == f"{head}-dirty"


def test_json_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [one.name for one in path.parent.iterdir()] == ["out.json"]
