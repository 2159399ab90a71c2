"""How a result names the model files that it is about."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from vultus.onnxfile import spec_from_onnx

__all__ = ["model_entry", "sha256_of"]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def model_entry(path: Path) -> dict[str, Any]:
    """Return how a result names a model: name, version, task, precision, file name and hash."""
    spec = spec_from_onnx(path)
    facts = {"name": spec.name, "version": spec.version, "task": spec.task, "precision": spec.precision}
    return {**facts, "file": path.name, "sha256": sha256_of(path)}
