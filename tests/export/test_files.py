"""Model files appear whole or not at all, and faulty ones are named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import onnx
import pytest

from vultus.errors import ModelError
from vultus_export.files import load_model, save_model
from vultus_export.whole import writable, write_whole


def test_a_model_survives_the_disk(face_model: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "face.onnx"
    size = save_model(face_model, path)
    assert path.stat().st_size == size
    assert load_model(path) == face_model
    assert os.listdir(tmp_path) == ["face.onnx"]


def test_the_file_has_the_usual_rights(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "x", b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "face.onnx"
    path.write_bytes(b"old")

    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["face.onnx"]


@pytest.mark.parametrize("data", [b"", b"no model at all", bytes(64), b"\x08\x0a"])
def test_what_is_no_model_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=r"bad\.onnx is not an ONNX model"):
        load_model(tmp_path / "bad.onnx")


def test_a_truncated_model_is_named(face_model: onnx.ModelProto, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(face_model.SerializeToString()[:-100])
    with pytest.raises(ModelError, match=r"cut\.onnx is not an ONNX model, or it is damaged"):
        load_model(tmp_path / "cut.onnx")


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model file"):
        load_model(tmp_path / "none.onnx")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    assert writable(tmp_path / "new.onnx") == tmp_path / "new.onnx"
    with pytest.raises(ModelError, match="there is no folder"):
        writable(tmp_path / "none" / "new.onnx")
    with pytest.raises(ModelError, match="it is a folder"):
        writable(tmp_path)
