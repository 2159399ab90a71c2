"""What would run: the models, really opened on every kind of device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vultus.doctor import Check
from vultus.engines import open_engine
from vultus.engines.devices import DEVICES, cuda_problem
from vultus.engines.sidecar import load_engine, platform_here, read_sidecar
from vultus.errors import DeviceError, VultusError
from vultus.onnxfile import spec_from_onnx

__all__ = ["engine_checks", "model_checks", "run_checks"]

PACKAGES = {"auto": "cpu", "cpu": "cpu", "cuda": "gpu"}


def model_checks(models: Sequence[Path]) -> list[Check]:
    """Return the model files, each with what its spec says."""
    return [_model(path) for path in models]


def _model(path: Path) -> Check:
    try:
        spec = spec_from_onnx(path)
    except VultusError as error:
        return Check(
            "models", path.name, "problem", str(error), "install vultus again: this model is not usable"
        )
    return Check("models", path.name, "ok", f"{spec.task}, version {spec.version}, {spec.precision}")


def engine_checks(folder: Path) -> list[Check]:
    """Return the TensorRT engines of a folder, each with why it does not run here when it does not."""
    engines = sorted(folder.glob("*.engine"))
    if not engines:
        return [Check("engines", str(folder), "absent", "no *.engine file there")]
    return [_engine(path) for path in engines]


def _engine(path: Path) -> Check:
    try:
        sidecar, _ = load_engine(path, platform_here(read_sidecar(path).flavour))
    except VultusError as error:
        return Check("engines", path.name, "problem", "does not run here", str(error))
    return Check("engines", path.name, "ok", f"{sidecar.spec.name} {sidecar.precision}, {sidecar.version}")


def run_checks(models: Sequence[Path]) -> list[Check]:
    """Open the models on each device and return what really runs, or why nothing does."""
    return [_run(device, models) for device in DEVICES]


def _run(device: str, models: Sequence[Path]) -> Check:
    name = f"--device {device}"
    try:
        ran = {}
        for path in models:
            with open_engine(path, device) as engine:
                ran[engine.device] = path.name
        return Check("runs", name, "ok", "; ".join(ran))
    except DeviceError as error:
        if device == "cuda" and cuda_problem():
            return Check("runs", name, "absent", str(error))
        return Check("runs", name, "problem", str(error), f"pip install 'vultus[{PACKAGES[device]}]'")
    except VultusError as error:
        return Check("runs", name, "problem", str(error), "mend the model files first")
