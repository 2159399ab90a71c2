"""Fixtures that every test folder shares."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the detector of white squares."""
    return tiny.save_detector(tmp_path_factory.mktemp("tiny") / "tiny-detector.onnx")


@pytest.fixture(scope="session")
def tiny_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the seeded face network."""
    return tiny.save_face_network(tmp_path_factory.mktemp("tiny") / "tiny-face.onnx")


@pytest.fixture(scope="session")
def tiny_models(tiny_detector: Path, tiny_face: Path) -> list[Path]:
    """Return a detector and a face network whose answers are known."""
    return [tiny_detector, tiny_face]
