"""Installing a bundle on a device, and loading from where it was installed; both check everything first."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vultus.bundle.manifest import BundledModel, Manifest
from vultus.bundle.verify import Verified, verify_bundle
from vultus.disk import flush_folder
from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import spec_from_json

__all__ = ["Installed", "install", "load"]


@dataclass(frozen=True)
class Installed:
    """A bundle in a folder, verified: what it proved, and where its models are."""

    folder: Path
    verified: Verified

    @property
    def manifest(self) -> Manifest:
        """The bundle's index."""
        return self.verified.manifest

    def models(self, precision: str | None = None) -> list[Path]:
        """Return the model files of one precision, ready for `Analyzer(models=...)`.

        precision: may be left out where the bundle has only one. Raises ModelError when the bundle does not
        have it, or has several and none was named.
        """
        held = sorted({model.precision for model in self.manifest.models})
        wanted = held[0] if precision is None and len(held) == 1 else precision
        if wanted not in held:
            raise ModelError(
                f"{self.folder} has models in {', '.join(held)}, not in {precision}; name one of those"
                if precision
                else f"{self.folder} has models in {', '.join(held)}; name the precision to use"
            )
        return [self.folder / model.file for model in self.manifest.models if model.precision == wanted]


def install(bundle: Path, directory: Path, key: Path | None = None) -> Installed:
    """Unpack a bundle into a new folder that appears whole and verified, or not at all.

    bundle: an archive, or the folder of another installation. directory: must not exist, or be empty; its parent
    must exist. key: a public key file of minisign; the bundle must then be signed by that key.

    Raises ModelError as `verify_bundle` does, and when the folder cannot be made; SpecError when this vultus
    cannot read a model's spec.
    """
    _check_vacant(directory)
    try:
        with _unfinished(directory) as folder:
            verified = verify_bundle(bundle, key, lambda name: _new_file(folder, name))
            for model in verified.manifest.models:
                _check_spec(folder, model, bundle)
            _settle(folder)
            folder.rename(directory)
        flush_folder(directory.absolute().parent)
    except OSError as error:
        raise ModelError(f"{bundle} cannot be installed in {directory}: {error.strerror}") from error
    return Installed(directory, verified)


def load(directory: Path, key: Path | None = None) -> Installed:
    """Verify an installed bundle again, every byte of it, and return it; raises as `verify_bundle` does."""
    if not directory.is_dir():
        raise ModelError(f"there is no installed bundle {directory}; install one: vultus models install")
    return Installed(directory, verify_bundle(directory, key))


def _check_vacant(directory: Path) -> None:
    if not directory.absolute().parent.is_dir():
        raise ModelError(
            f"cannot install in {directory}: there is no folder {directory.parent}; make it first"
        )
    if directory.is_symlink() or (
        directory.exists() and not (directory.is_dir() and not any(directory.iterdir()))
    ):
        raise ModelError(
            f"cannot install in {directory}: it exists; name a new folder, or remove this one first"
        )


def _check_spec(folder: Path, model: BundledModel, bundle: Path) -> None:
    """Refuse a model whose own spec is not the one that the bundle shows."""
    spec = spec_from_onnx(folder / model.file)
    shown = spec_from_json((folder / model.spec).read_bytes(), f"{bundle}: {model.spec}")
    told = (model.name, model.version, model.task, model.precision, model.licence)
    if spec != shown or told != (spec.name, spec.version, spec.task, spec.precision, spec.licence):
        raise ModelError(
            f"{bundle}: {model.file} carries another spec than {model.spec}; make the bundle again"
        )


@contextmanager
def _unfinished(directory: Path) -> Iterator[Path]:
    """Give a hidden folder beside `directory`; what is left of it at the end is removed."""
    place = directory.absolute()
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _new_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _settle(folder: Path) -> None:
    """Give a finished folder the rights of an ordinary one and flush its entries to the disk."""
    umask = os.umask(0)
    os.umask(umask)
    folder.chmod(0o777 & ~umask)
    for root, _, _ in os.walk(folder):
        flush_folder(Path(root))
