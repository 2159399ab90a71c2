"""NAME.engine.json: what a TensorRT engine was built from, for and with, and whether it fits this device.

An engine file says nothing of itself until TensorRT loads it, and TensorRT says little when it will not. The
sidecar beside it carries the model's contract, the TensorRT and the GPU it was built for, and hashes, so an
engine of another device or a damaged one is refused with the command that mends it. JSON is read and
validated by msgspec at the edge; inside, sidecars are plain frozen dataclasses.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from vultus.engines.devices import cuda_problem
from vultus.errors import DeviceError, ModelError, SpecError
from vultus.spec import ModelSpec, spec_from_json

__all__ = [
    "FLAVOURS",
    "Flavour",
    "Platform",
    "Sidecar",
    "load_engine",
    "mismatch",
    "platform_here",
    "read_sidecar",
    "remedy_for",
    "sidecar_from_json",
    "sidecar_path",
    "sidecar_to_json",
    "tensorrt_module",
    "tensorrt_version",
    "with_gpu",
]

SCHEMA = 1
VERSION_COMPATIBLE = "version-compatible"

Flavour = Literal["tensorrt", "tensorrt_rtx"]
FLAVOURS: dict[Flavour, str] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
"""Flavour as files name it -> name as people read it."""

# The RTX wheels install their bindings under one name, the vendor's meta package adds the other.
MODULES: dict[Flavour, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
INSTALL: dict[Flavour, str] = {
    "tensorrt": "install TensorRT's Python package (on a Jetson: apt install python3-libnvinfer)",
    "tensorrt_rtx": "pip install 'vultus[rtx]'",
}


@dataclass(frozen=True)
class Platform:
    """What an engine meets where it is to run; an empty string stands for what is not there."""

    flavour: Flavour
    version: str = ""
    compute_capability: str = ""
    device: str = ""
    cuda: str = ""
    problem: str = ""
    """Why there is no GPU, in one clause."""


@dataclass(frozen=True)
class Sidecar:
    """What an engine file is.

    compute_capabilities: those it runs on; "8.0+" means 8.0 and later. device, cuda: GPU and CUDA version that
    its kernels were timed on, empty when that does not matter to it. batch: the profile's least, best and most
    pictures a call. flags: what was asked of the build, such as "version-compatible" or "dla=0".
    layers: precision -> number of layers of the finished engine; proof: where that was read.
    key: what decides whether the engine can be used again in place of a new build.
    """

    spec: ModelSpec
    onnx: str
    flavour: Flavour
    version: str
    compute_capabilities: tuple[str, ...]
    batch: tuple[int, int, int]
    precision: str
    onnx_sha256: str
    engine_sha256: str
    engine_size: int
    key: str
    proof: Literal["engine inspector", "build log"]
    layers: dict[str, int] = field(default_factory=dict)
    device: str = ""
    cuda: str = ""
    flags: tuple[str, ...] = ()
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Refuse a sidecar whose parts contradict each other."""
        problem = _problem_in(self)
        if problem:
            raise SpecError(f"the sidecar of engine {self.spec.name!r} is not usable: {problem}")


def _problem_in(sidecar: Sidecar) -> str:
    """Return what is wrong with a sidecar in one clause, or an empty string."""
    least, best, most = sidecar.batch
    if not 1 <= least <= best <= most:
        return f"its batch {sidecar.batch} is not least <= best <= most, from 1 on"
    targets = sidecar.compute_capabilities
    if not targets or not all(re.fullmatch(r"\d+\.\d\+?", target) for target in targets):
        return f"its compute capabilities {targets} are not of the form 8.7 or 8.0+"
    hashes = (sidecar.onnx_sha256, sidecar.engine_sha256, sidecar.key)
    if not all(re.fullmatch(r"[0-9a-f]{64}", value) for value in hashes) or sidecar.engine_size < 1:
        return "its hashes are not SHA-256 in hexadecimal digits, or its size is below 1"
    if not re.match(r"\d+\.\d+", sidecar.version):
        return f"its version {sidecar.version!r} is no version of {FLAVOURS[sidecar.flavour]}"
    if sidecar.precision != sidecar.spec.precision:
        return f"it says precision {sidecar.precision!r}, its spec {sidecar.spec.precision!r}"
    return ""


def sidecar_path(engine: Path) -> Path:
    """Return where the sidecar of an engine file lies: NAME.engine.json beside NAME.engine."""
    return engine.with_name(f"{engine.name}.json")


def sidecar_to_json(sidecar: Sidecar) -> str:
    """Return the sidecar as JSON with sorted keys; equal sidecars give equal text."""
    return json.dumps(asdict(sidecar), sort_keys=True, indent=1) + "\n"


def sidecar_from_json(text: str | bytes, where: str = "the sidecar") -> Sidecar:
    """Read a sidecar from JSON; `where` names the file in messages.

    Raises SpecError with the place and the reason when the JSON is malformed, of another schema, has unknown
    keys or values of the wrong type.
    """
    import msgspec

    try:
        raw: Any = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SpecError(f"{where} is not JSON: {error}; build the engine again") from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise SpecError(
            f"{where} is of schema {schema}, this vultus reads schema {SCHEMA}; build the engine again"
        )
    spec_from_json(msgspec.json.encode(raw.get("spec")), where)
    try:
        sidecar = msgspec.convert(raw, Sidecar)
    except (msgspec.ValidationError, SpecError) as error:
        raise SpecError(f"{where} is malformed: {error}; build the engine again") from error
    if unknown := sorted(set(raw) - set(asdict(sidecar))):
        raise SpecError(f"{where} has unknown keys: {', '.join(unknown)}; build the engine again")
    return sidecar


def read_sidecar(engine: Path) -> Sidecar:
    """Return the sidecar of an engine file; raises ModelError when there is none, SpecError when it is unusable."""
    path = sidecar_path(engine)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{engine} has no readable sidecar {path.name} ({error.strerror}), so nothing is known of it; "
            "build it with: vultus-export engine MODEL.onnx --out DIR"
        ) from error
    return sidecar_from_json(text, str(path))


def load_engine(engine: Path, here: Platform) -> tuple[Sidecar, bytes]:
    """Return the sidecar and the bytes of an engine file that fits this platform.

    Raises DeviceError with the one line of `mismatch` for an engine of another device or TensorRT, ModelError
    for one that is missing or is not the file its sidecar describes, SpecError for an unusable sidecar.
    """
    sidecar = read_sidecar(engine)
    if why := mismatch(sidecar, here):
        raise DeviceError(f"{engine.name} was {why}")
    try:
        data = engine.read_bytes()
    except OSError as error:
        raise ModelError(f"the engine file {engine} cannot be read: {error.strerror}") from error
    if len(data) != sidecar.engine_size or hashlib.sha256(data).hexdigest() != sidecar.engine_sha256:
        raise ModelError(
            f"{engine} is damaged: {len(data)} bytes that are not the {sidecar.engine_size} that were built; "
            f"copy it again or {remedy_for(sidecar)}"
        )
    return sidecar, data


def mismatch(sidecar: Sidecar, here: Platform) -> str:
    """Return in one line why the engine does not run on this platform and what to do; empty when it does.

    Such as "built for compute capability 8.7 and TensorRT 10.3.0, this is compute capability 9.0 and TensorRT
    11.4.0: run vultus-export engine vultus-det-s.onnx --out DIR".
    """
    if here.flavour != sidecar.flavour:
        raise ValueError(f"a platform of {sidecar.flavour} is expected, this one is of {here.flavour}")
    fits_gpu = any(_fits(here.compute_capability, target) for target in sidecar.compute_capabilities)
    if fits_gpu and _fits_version(sidecar, here):
        return ""
    name = FLAVOURS[sidecar.flavour]
    built = (
        f"built for compute capability {_listed(sidecar.compute_capabilities)} and {name} {sidecar.version}"
    )
    gpu = f"compute capability {here.compute_capability}" if here.compute_capability else _without_gpu(here)
    if not here.version:
        return f"{built}, this is {gpu} without {name}: {INSTALL[sidecar.flavour]}"
    remedy = remedy_for(sidecar) if here.compute_capability else "run it where the GPU is"
    return f"{built}, this is {gpu} and {name} {here.version}: {remedy}"


def platform_here(flavour: Flavour) -> Platform:
    """Return this machine as an engine of `flavour` meets it, asked without creating any TensorRT object."""
    return with_gpu(Platform(flavour, tensorrt_version(flavour)))


def with_gpu(platform: Platform) -> Platform:
    """Return the platform with the first GPU's name, compute capability and CUDA version filled in.

    The driver is asked through ctypes: TensorRT itself may crash where there is none.
    """
    problem = cuda_problem()
    if problem:
        return replace(platform, problem=problem)
    driver = ctypes.CDLL("libcuda.so.1")
    device, major, minor, version = (ctypes.c_int(0) for _ in range(4))
    name = ctypes.create_string_buffer(256)
    codes = (
        driver.cuDeviceGet(ctypes.byref(device), 0),
        driver.cuDeviceGetName(name, len(name), device),
        driver.cuDeviceGetAttribute(ctypes.byref(major), 75, device),
        driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, device),
        driver.cuDriverGetVersion(ctypes.byref(version)),
    )
    if any(codes):
        return replace(platform, problem=f"the NVIDIA driver does not describe its GPU (errors {codes})")
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    capability = f"{major.value}.{minor.value}"
    return replace(platform, compute_capability=capability, device=name.value.decode(), cuda=cuda)


def tensorrt_module(flavour: Flavour) -> Any | None:
    """Return the flavour's Python package, or None when it cannot be imported; touches no TensorRT object."""
    for module in MODULES[flavour]:
        try:
            found = import_module(module)
            found.__version__  # noqa: B018 - a folder of that name is no TensorRT
        except (
            ImportError,
            OSError,
            AttributeError,
        ):  # bindings whose libraries are missing raise any of these
            continue
        return found
    return None


def tensorrt_version(flavour: Flavour) -> str:
    """Return the version of the flavour's Python package, or an empty string when it cannot be imported."""
    module = tensorrt_module(flavour)
    return "" if module is None else str(module.__version__)


def _fits(capability: str, target: str) -> bool:
    if target.endswith("+"):
        return bool(capability) and _numbers(capability) >= _numbers(target[:-1])
    return capability == target


def _fits_version(sidecar: Sidecar, here: Platform) -> bool:
    if VERSION_COMPATIBLE in sidecar.flags and here.version:
        return _numbers(here.version) >= _numbers(sidecar.version)
    return here.version == sidecar.version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _listed(targets: tuple[str, ...]) -> str:
    return targets[0] if len(targets) == 1 else f"{', '.join(targets[:-1])} or {targets[-1]}"


def _without_gpu(here: Platform) -> str:
    return f"a machine without a usable GPU ({here.problem or 'none was found'})"


def remedy_for(sidecar: Sidecar) -> str:
    """Return the command that builds the engine again, for messages."""
    return f"run vultus-export engine {sidecar.onnx} --out DIR"
