"""Exported once, read by many tests; a test that changes a model takes a copy."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import nets
from made_once import made_once
from vultus_export.exporter import onnx_from_module


@pytest.fixture(scope="session")
def face_model(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """Return the small face network as ONNX."""

    def make(folder: Path) -> None:
        onnx.save(onnx_from_module(nets.make_face(), nets.FACE), folder / "face.onnx")

    return onnx.load(made_once(tmp_path_factory, "face-model", make) / "face.onnx")


@pytest.fixture(scope="session")
def detector_model(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """Return the small detector as ONNX."""

    def make(folder: Path) -> None:
        onnx.save(onnx_from_module(nets.make_detector(), nets.DETECTOR), folder / "detector.onnx")

    return onnx.load(made_once(tmp_path_factory, "detector-model", make) / "detector.onnx")
