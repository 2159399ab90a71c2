"""The engines that a configuration asks for on a machine, and whether a file is one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vultus.engines.sidecar import Sidecar, read_sidecar
from vultus.errors import VultusError
from vultus.service.config import Config
from vultus.service.models import model_files
from vultus_export.tensorrt.cache import cache_key, reusable, store
from vultus_export.tensorrt.request import Request
from vultus_firstboot.machine import Machine

__all__ = ["Wanted", "adopt", "fitting", "sources_of", "wanted_engines"]


@dataclass(frozen=True)
class Wanted:
    """One engine to have. key: of the build, as its sidecar will carry it; empty where no machine was asked."""

    onnx: Path
    sha256: str
    key: str = ""

    @property
    def name(self) -> str:
        """The engine's name, which is its model's file without the suffix."""
        return self.onnx.stem

    @property
    def file(self) -> str:
        """The engine's file in a slot."""
        return f"{self.onnx.stem}.engine"


def wanted_engines(config: Config, root: Path, machine: Machine | None) -> tuple[Wanted, ...]:
    """Return the engines of a configuration that was checked; machine: where they are to run."""
    return tuple(_wanted(path, machine) for path in model_files(config, root))


def _wanted(onnx: Path, machine: Machine | None) -> Wanted:
    digest = hashlib.sha256(onnx.read_bytes()).hexdigest()
    if machine is None:
        return Wanted(onnx, digest)
    return Wanted(onnx, digest, cache_key(digest, machine.platform, Request(), machine.portable))


def fitting(engine: Path, wanted: Wanted, machine: Machine | None) -> tuple[Sidecar | None, str]:
    """Return (sidecar of an intact engine that is the one wanted, "") or (None, why not; empty when it is not there).

    Without a machine only the model that the engine was built from is compared.
    """
    if machine is not None:
        return reusable(engine, wanted.key, machine.platform)
    try:
        sidecar = read_sidecar(engine)
    except VultusError as error:
        return None, str(error)
    same = sidecar.onnx_sha256 == wanted.sha256
    return (sidecar, "") if same else (None, "the engine there is of another model")


def sources_of(folder: Path, wanted: Wanted) -> Iterator[Path]:
    """Yield the engine files of this name in a folder of prebuilt engines, which may have one folder a device."""
    if folder.is_dir():
        yield from sorted(path for path in folder.rglob(wanted.file) if path.is_file())


def adopt(source: Path, slot: Path, wanted: Wanted, machine: Machine) -> tuple[Sidecar | None, str]:
    """Copy an engine that fits into a slot, whole or not at all; return as `fitting` does."""
    sidecar, why = fitting(source, wanted, machine)
    if sidecar is None:
        return None, why
    store(slot / wanted.file, source.read_bytes(), sidecar)
    return fitting(slot / wanted.file, wanted, machine)
