"""Model files: read with a clear word, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import onnx

from vultus.errors import ModelError
from vultus_export.whole import write_whole

__all__ = ["load_model", "save_model"]


def load_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file; raises ModelError naming the file when it is missing or is no ONNX model."""
    if not path.is_file():
        raise ModelError(f"there is no model file {path}")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # the protobuf back ends raise different classes
        raise ModelError(f"{path} is not an ONNX model, or it is damaged: {error}") from error
    if not model.graph.node:
        raise ModelError(f"{path} is not an ONNX model: it holds no graph")
    return model


def save_model(model: onnx.ModelProto, path: Path) -> int:
    """Write a model to `path` and return its size in bytes; equal models give equal bytes."""
    data = model.SerializeToString(deterministic=True)
    write_whole(path, data)
    return len(data)
