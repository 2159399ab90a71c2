"""Engine files of a recorded TensorRT, as a build on the fake driver's device would leave them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import recorded_tensorrt
import sidecars
from recorded_runs import plan_of
from vultus.engines.sidecar import Flavour
from vultus.onnxfile import spec_from_onnx

__all__ = ["flavour_of", "installed", "saved_engine"]


def flavour_of(version: str) -> Flavour:
    """Return the flavour that a recorded version belongs to."""
    return "tensorrt_rtx" if version == recorded_tensorrt.RTX else "tensorrt"


def installed(version: str, **board: Any) -> Any:
    """Make a recorded TensorRT the one that is imported from now on, and return it."""
    trt = recorded_tensorrt.module(version, **board)
    for name in ("tensorrt", "tensorrt_rtx"):
        sys.modules[name] = None  # type: ignore[assignment]
    sys.modules[flavour_of(version)] = trt
    return trt


def saved_engine(
    folder: Path, model: Path, maker: str, batch: tuple[int, int, int] = (1, 4, 8), **changes: Any
) -> Path:
    """Write the engine that the version `maker` makes of an ONNX file; `changes` are fields of the sidecar."""
    spec = spec_from_onnx(model)
    sides = [3, spec.input.height, spec.input.width]
    data = plan_of(model, maker, [[count, *sides] for count in batch])
    facts = {
        "spec": spec,
        "onnx": model.name,
        "flavour": flavour_of(maker),
        "version": maker,
        "batch": batch,
    }
    made = sidecars.made(
        **{**facts, "precision": spec.precision, **sidecars.hashed(data), **changes},
    )
    return sidecars.saved(folder, made, data, f"{model.stem}.engine")
