"""An environment of its own for every peer, made from the package registries and kept below runs/peers."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.peers_known import Peer
from harness.provenance import REPOSITORY

__all__ = ["OWN", "Environment", "NotThere", "environment_of", "prepare"]

FOLDER = REPOSITORY / "runs" / "peers"
TOOLS = ("pip", "setuptools", "wheel", "_distutils_hack", "pkg_resources", "distutils-precedence.pth")
"""What a fresh virtual environment holds of its own and a peer does not bring."""

OWN = "vultus"
LONGEST = 1800


class NotThere(Exception):
    """A peer that cannot be installed or run here; the words say why."""


@dataclass(frozen=True)
class Environment:
    """Where a peer is installed. versions: of its packages that matter, by name."""

    folder: Path
    command: tuple[str, ...]
    version: str
    versions: dict[str, str]
    installed_mb: float


def prepare(peer: Peer, root: Path = FOLDER) -> None:
    """Install a peer unless it already is as the table says; raises NotThere with the last words of the installer."""
    folder = root / peer.place
    wanted, noted = _wanted(peer), _noted(folder)
    if noted == wanted:
        return
    if peer.place == OWN and noted and noted[0] == wanted[0]:
        commands: list[Sequence[str]] = [(*_pip(folder), "--no-deps", "--force-reinstall", str(REPOSITORY))]
    else:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        commands = [*_commands(peer, folder)]
    for command in commands:
        _called(command, folder)
    (folder / "ready.json").write_text(json.dumps(wanted))


def environment_of(peer: Peer, root: Path = FOLDER) -> Environment:
    """Return where a peer is installed; raises NotThere when it is not, or not as the table says."""
    folder = root / peer.place
    if _noted(folder) != _wanted(peer):
        raise NotThere(f"not installed as listed: run peers.py --prepare --only {peer.name!r}")
    if _in_node(peer):
        script = REPOSITORY / "benchmarks" / "peer_runners" / peer.runner[0]
        size = _size(folder / "node_modules")
        return Environment(folder, ("node", str(script)), peer.version, {}, size)
    packages = next((folder / "venv" / "lib").glob("python3.*")) / "site-packages"
    module, *words = peer.runner
    command = (str(folder / "venv" / "bin" / "python"), "-m", f"peer_runners.{module}", *words)
    version = peer.version or _versions(packages, (peer.place,))[peer.place]
    return Environment(folder, command, version, _versions(packages, peer.engines), _size(packages))


def _in_node(peer: Peer) -> bool:
    return peer.runner[0].endswith(".cjs")


def _wanted(peer: Peer) -> list[list[str]]:
    """Return what an environment is made of, as it is noted in it."""
    if peer.place == OWN:
        requirements = hashlib.sha256((REPOSITORY / "pyproject.toml").read_bytes()).hexdigest()
        return [[requirements], [_own_digest()]]
    return [[*step.packages, *(["bare"] if step.bare else [])] for step in peer.steps]


def _own_digest() -> str:
    """Return a hash of the runtime's files, so that an older copy of it is never measured by mistake."""
    digest = hashlib.sha256()
    runtime = REPOSITORY / "runtime" / "vultus"
    files = (path for path in runtime.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in sorted(files):
        digest.update(path.relative_to(runtime).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _noted(folder: Path) -> Any:
    try:
        return json.loads((folder / "ready.json").read_text())
    except (OSError, ValueError):
        return None


def _pip(folder: Path) -> tuple[str, ...]:
    return (str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet")


def _commands(peer: Peer, folder: Path) -> Iterator[Sequence[str]]:
    if _in_node(peer):
        (folder / "package.json").write_text('{"private": true}\n')
        packages = [package for step in peer.steps for package in step.packages]
        yield ("npm", "install", "--no-audit", "--no-fund", "--legacy-peer-deps", *packages)
        return
    yield (sys.executable, "-m", "venv", str(folder / "venv"))
    install = _pip(folder)
    if peer.place == OWN:
        yield (*install, f"{REPOSITORY}[cpu]")
    for step in peer.steps:
        yield (*install, *(("--no-deps",) if step.bare else ()), *step.packages)


def _called(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if line.strip() and "WARNING" not in line]
        raise NotThere(f"{Path(command[0]).name} failed: {' '.join(said[-2:])[:300]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotThere(f"{Path(command[0]).name} failed: {error}") from error


def _versions(packages: Path, names: Sequence[str]) -> dict[str, str]:
    found = {}
    for place in packages.glob("*.dist-info"):
        name, _, version = place.name.removesuffix(".dist-info").partition("-")
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return {name: found[name] for name in names if name in found}


def _size(folder: Path) -> float:
    """Return what an installation takes on the disk in MB, without the tools that installed it."""
    tops = [top for top in folder.iterdir() if not top.name.startswith(TOOLS)]
    files = (path for top in tops for path in ([top] if top.is_file() else top.rglob("*")))
    return sum(path.lstat().st_size for path in files if path.is_file() or path.is_symlink()) / 1e6
