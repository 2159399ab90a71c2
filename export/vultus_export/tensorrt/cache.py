"""Engines and timing caches on disk: found again by key, checked by hash, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from vultus.engines.sidecar import (
    Platform,
    Sidecar,
    load_engine,
    mismatch,
    read_sidecar,
    sidecar_path,
    sidecar_to_json,
)
from vultus.errors import ModelError, VultusError
from vultus_export.tensorrt.request import Request
from vultus_export.whole import write_whole

__all__ = ["cache_key", "reusable", "store", "writable_folder"]


def cache_key(onnx_sha256: str, here: Platform, request: Request, portable: bool) -> str:
    """Return the SHA-256 of all that decides what a build gives.

    The model's bytes, TensorRT's flavour and version, the profile and the flags; and, unless the engine is built
    for a list of GPUs, this GPU's name and compute capability and its CUDA version.
    """
    gpu = [] if portable else [here.cuda, here.device, here.compute_capability]
    parts = {
        "onnx": onnx_sha256,
        "tensorrt": [here.flavour, here.version],
        "gpu": gpu,
        "request": asdict(request),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def reusable(engine: Path, key: str, here: Platform) -> tuple[Sidecar | None, str]:
    """Return (sidecar of an intact engine of this key, "") or (None, why it is built anew; empty when there is none).

    Without a GPU here only the version of TensorRT can be compared.
    """
    if not engine.exists() and not sidecar_path(engine).exists():
        return None, ""
    try:
        sidecar = read_sidecar(engine)
        if sidecar.key != key:
            return None, _difference(sidecar, here)
        seen = here if here.compute_capability else _as_built(sidecar, here)
        return load_engine(engine, seen)[0], ""
    except VultusError as error:
        return None, str(error)


def store(engine: Path, data: bytes, sidecar: Sidecar) -> None:
    """Write an engine and its sidecar, each whole or not at all.

    A stop between the two leaves an engine whose hash is not its sidecar's: it is refused, then built anew.
    """
    write_whole(engine, data)
    write_whole(sidecar_path(engine), sidecar_to_json(sidecar).encode())


def writable_folder(folder: Path) -> Path:
    """Make the folder where needed; raises ModelError so that a long build is not begun in vain."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error
    if not os.access(folder, os.W_OK):
        raise ModelError(f"cannot write to {folder}: it is read-only; choose another folder")
    return folder


def _difference(sidecar: Sidecar, here: Platform) -> str:
    """Return why an engine of another key is not used again, in one line."""
    if sidecar.flavour != here.flavour:
        return f"the engine there is of another TensorRT: {sidecar.flavour} {sidecar.version}"
    if here.compute_capability and (why := mismatch(sidecar, here)):
        return f"the engine there was {why.rpartition(': ')[0]}"
    return "the engine there is of another model, profile, GPU or options"


def _as_built(sidecar: Sidecar, here: Platform) -> Platform:
    target = sidecar.compute_capabilities[0].rstrip("+")
    return Platform(here.flavour, here.version, compute_capability=target)
