"""Which code and which models ran."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vultus import __version__
from vultus.bench.record import Model, Version
from vultus.engines.sidecar import read_sidecar
from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec

__all__ = ["models_of", "version_here"]

STAGES = {"detector": "detect", "face": "face"}
"""Task of a model -> stage of a result's `ran_on`."""


def version_here(package: Path = Path(__file__).parents[1]) -> Version:
    """Return the version, and the commit when the package is run from a clone that holds it."""
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py")
    head = _git(package, "rev-parse", "HEAD") if tracked is not None else None
    if head is None:
        return Version(__version__)
    changes = _git(package, "status", "--porcelain", "--untracked-files=no", ":/")
    return Version(__version__, head.strip(), bool(changes and changes.strip()))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def models_of(paths: Sequence[Path], ran_on: Mapping[str, str]) -> tuple[Model, ...]:
    """Return what a record says of model files, the later networks of a cascade behind the first."""
    return tuple(_model(path, ran_on) for first in paths for path in _with_later(first))


def _with_later(path: Path) -> Iterator[Path]:
    yield path
    spec, _ = _spec(path)
    cascade = spec.detector.cascade if spec.detector else None
    if cascade:
        yield from (path.with_name(name + path.suffix) for name in cascade.stages)


def _model(path: Path, ran_on: Mapping[str, str]) -> Model:
    spec, key = _spec(path)
    place = ran_on.get(STAGES.get(spec.task, ""), "")
    return Model(spec.task, spec.name, spec.version, spec.precision, path.name, _sha256(path), place, key)


def _spec(path: Path) -> tuple[ModelSpec, str | None]:
    """Return the spec of a model file and, of an engine, its key."""
    if path.suffix == ".onnx":
        return spec_from_onnx(path), None
    sidecar = read_sidecar(path)
    return sidecar.spec, sidecar.key


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
