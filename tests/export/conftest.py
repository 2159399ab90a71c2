"""Exported once, read by many tests; a test that changes a model takes a copy."""

from __future__ import annotations

import onnx
import pytest

import nets
from vultus_export.exporter import onnx_from_module


@pytest.fixture(scope="session")
def face_model() -> onnx.ModelProto:
    """Return the small face network as ONNX."""
    return onnx_from_module(nets.make_face(), nets.FACE)


@pytest.fixture(scope="session")
def detector_model() -> onnx.ModelProto:
    """Return the small detector as ONNX."""
    return onnx_from_module(nets.make_detector(), nets.DETECTOR)
