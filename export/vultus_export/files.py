"""Model files: read with a clear word, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx

from vultus.errors import ModelError

__all__ = ["load_model", "save_model", "writable", "write_whole"]


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


def writable(path: Path) -> Path:
    """Return `path` if a file can be made there; raises ModelError so that long work is not begun in vain."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ModelError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise ModelError(f"cannot write {path}: it is a folder or lies in one that is read-only")
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` beside `path` under another name, flush it to the disk, then move it into place."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
