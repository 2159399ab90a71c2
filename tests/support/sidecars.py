"""The sidecar of an engine built on an Orin, and its file beside made-up engine bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny
from vultus.engines.sidecar import Sidecar, sidecar_path, sidecar_to_json

DATA = b"engine bytes"

ORIN = Sidecar(
    spec=tiny.FACE_NETWORK,
    onnx="tiny-face.onnx",
    flavour="tensorrt",
    version="10.3.0",
    compute_capabilities=("8.7",),
    batch=(1, 4, 32),
    precision="fp32",
    onnx_sha256="0" * 64,
    engine_sha256=hashlib.sha256(DATA).hexdigest(),
    engine_size=len(DATA),
    key="1" * 64,
    proof="engine inspector",
    layers={"fp32": 12},
    device="Orin",
    cuda="12.6",
)


def hashed(data: bytes) -> dict[str, Any]:
    """Return the fields of a sidecar that describe the engine's bytes."""
    return {"engine_sha256": hashlib.sha256(data).hexdigest(), "engine_size": len(data)}


def made(**changes: Any) -> Sidecar:
    """Return the sidecar with some fields changed."""
    return replace(ORIN, **changes)


def saved(folder: Path, sidecar: Sidecar, data: bytes = DATA, name: str = "tiny-face.engine") -> Path:
    """Write an engine file and its sidecar; return the engine's path."""
    engine = folder / name
    engine.write_bytes(data)
    sidecar_path(engine).write_text(sidecar_to_json(sidecar))
    return engine
