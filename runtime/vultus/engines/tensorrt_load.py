"""From an engine file to a TensorRT engine in memory; every refusal becomes one line with what to do.

No TensorRT object is made before a driver is open and the sidecar fits: TensorRT may crash where there is no GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vultus.cuda.driver import Driver
from vultus.engines.sidecar import (
    FLAVOURS,
    VERSION_COMPATIBLE,
    Flavour,
    Platform,
    Sidecar,
    load_engine,
    read_sidecar,
    remedy_for,
    tensorrt_module,
    tensorrt_version,
)
from vultus.errors import DeviceError, ModelError, VultusError

__all__ = ["Loaded", "load"]

DLA = "dla="


@dataclass
class Loaded:
    """A deserialised engine with what it came from; `said` collects TensorRT's errors, `where` names it for people."""

    trt: Any
    runtime: Any
    engine: Any
    sidecar: Sidecar
    file: str
    where: str
    said: list[str] = field(default_factory=list)

    def refusal(self, what: str) -> VultusError:
        """Return the error for something that TensorRT has just refused, with the last thing it said."""
        return _refusal(self.sidecar, f"{self.where} {what} {self.file}", self.said)

    @property
    def on_dla(self) -> bool:
        """Whether the engine was built for a Deep Learning Accelerator, whose work no CUDA graph can hold."""
        return any(flag.startswith(DLA) for flag in self.sidecar.flags)


def load(path: Path, driver: Driver) -> Loaded:
    """Deserialise an engine file on the driver's device.

    Raises DeviceError for an engine of another device or TensorRT and when memory runs out, ModelError for one
    that is missing, damaged or refused, SpecError for an unusable sidecar.
    """
    flavour = read_sidecar(path).flavour
    sidecar, data = load_engine(path, _platform(flavour, driver))
    trt = tensorrt_module(flavour)
    assert trt is not None  # load_engine refuses where the package is missing
    where = f"{FLAVOURS[flavour]} {trt.__version__} on {driver.info.name}"
    said: list[str] = []
    with driver.current():
        runtime = trt.Runtime(_logger(trt, said))
        _configure(runtime, sidecar)
        engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise _refusal(sidecar, f"{where} cannot load {path.name}", said)
    return Loaded(trt, runtime, engine, sidecar, path.name, where, said)


def _platform(flavour: Flavour, driver: Driver) -> Platform:
    info = driver.info
    capability = ".".join(map(str, info.compute_capability))
    return Platform(flavour, tensorrt_version(flavour), capability, info.name, info.driver)


def _configure(runtime: Any, sidecar: Sidecar) -> None:
    if VERSION_COMPATIBLE in sidecar.flags and hasattr(runtime, "engine_host_code_allowed"):
        runtime.engine_host_code_allowed = True  # such an engine brings its own lean runtime
    for flag in sidecar.flags:
        if flag.startswith(DLA):
            runtime.DLA_core = int(flag.removeprefix(DLA))


def _refusal(sidecar: Sidecar, what: str, said: list[str]) -> VultusError:
    reason = said[-1] if said else "it gives no reason"
    if "memory" in reason.lower():
        return DeviceError(f"{what}: {reason}; free GPU memory, or bind fewer pictures at once")
    return ModelError(f"{what}: {reason}; {remedy_for(sidecar)}")


def _logger(trt: Any, said: list[str]) -> Any:
    """Return an ILogger that keeps the errors; TensorRT calls it from its own threads."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity.name in ("ERROR", "INTERNAL_ERROR"):
                said.append(" ".join(msg.split()))
                del said[:-8]

    return Logger()
