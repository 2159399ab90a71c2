"""Reading specs out of ONNX files: right for good files, one clear error for every bad one."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import tiny
from vultus.errors import ModelError, SpecError
from vultus.onnxfile import FUSED_KEY, metadata_from_onnx, spec_from_onnx


def test_the_spec_comes_out_as_it_went_in(tiny_detector: Path, tiny_face: Path) -> None:
    assert spec_from_onnx(tiny_detector) == tiny.DETECTOR
    assert spec_from_onnx(tiny_face) == tiny.FACE_NETWORK


def test_metadata_equals_what_the_onnx_package_reads(tiny_face: Path) -> None:
    expected = {entry.key: entry.value for entry in onnx.load(tiny_face).metadata_props}
    assert metadata_from_onnx(tiny_face) == expected


def test_a_model_without_a_spec_says_how_to_give_it_one(tiny_face: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_face)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(SpecError, match=r"carries no vultus spec .*vultus-export adopt bare\.onnx --spec"):
        spec_from_onnx(tmp_path / "bare.onnx")


def test_a_fused_model_is_told_from_one_without_a_spec(tiny_face: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_face)
    onnx.helper.set_model_props(model, {FUSED_KEY: "{}"})
    onnx.save(model, tmp_path / "faces.onnx")
    with pytest.raises(SpecError, match=r"faces\.onnx is a fused model, which plain ONNX Runtime runs"):
        spec_from_onnx(tmp_path / "faces.onnx")


@pytest.mark.parametrize("data", [b"", b"hello, this is no model", b"\x08\x0a", b"\xff" * 64, b"\x00" * 64])
def test_what_is_no_model_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"bad\.onnx is not an ONNX model or is damaged"):
        spec_from_onnx(path)


def test_a_file_cut_anywhere_is_refused(tiny_detector: Path, tmp_path: Path) -> None:
    data = tiny_detector.read_bytes()
    for size in range(0, len(data) - 1, 101):
        path = tmp_path / "cut.onnx"
        path.write_bytes(data[:size])
        with pytest.raises((ModelError, SpecError), match=r"cut\.onnx"):
            spec_from_onnx(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx cannot be read: No such file"):
        spec_from_onnx(tmp_path / "none.onnx")
