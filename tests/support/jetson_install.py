"""Fake roots and tiny wheels, on which the real install.sh is run: its work with files is that on a board."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pip
import pytest

from repository import ROOT

__all__ = [
    "Kit",
    "interrupt_after",
    "is_whole",
    "listing",
    "make_bundle",
    "make_kit",
    "make_root",
    "run_install",
    "seal_bundle",
]

L4T = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
    "DATE: Wed Jan  8 01:49:37 UTC 2025\n"
)
UNIT = """[Unit]
Description=vultus {text}
[Service]
ExecStart=/opt/vultus/current/venv/bin/vultus service
[Install]
WantedBy=multi-user.target
"""
TREE = {
    "usr/lib/systemd/system/vultus.service": UNIT.format(text="one"),
    "usr/lib/systemd/system/vultus-firstboot.service": UNIT.format(text="first boot"),
    "usr/lib/sysusers.d/vultus.conf": "u vultus - 'vultus' /var/lib/vultus\nm vultus video\n",
    "usr/lib/tmpfiles.d/vultus.conf": "d /var/lib/vultus 0750 vultus vultus\n",
    "etc/vultus/vultus.toml": "schema = 1\n",
}


@dataclass
class Kit:
    """A copy of jetson/ with a tree, pins and wheels of its own."""

    folder: Path
    wheels: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> None:
        """Change a file of the tree that it installs."""
        path = self.folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes], tag: str) -> Path:
    """Write a wheel that pip accepts."""
    info = f"{name}-{version}.dist-info"
    entries = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    entries[f"{info}/RECORD"] = "".join(f"{entry},,\n" for entry in (*entries, f"{info}/RECORD")).encode()
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries.items():
            archive.writestr(zipfile.ZipInfo(entry, (2024, 1, 1, 0, 0, 0)), data)
    return path


def wheel_of_pip(folder: Path) -> Path:
    """Pack this environment's own pip as the wheel that it came from."""
    source = Path(pip.__file__).parent
    files = {
        f"pip/{path.relative_to(source).as_posix()}": path.read_bytes()
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return make_wheel(folder, "pip", pip.__version__, files, "py3-none-any")


def make_vultus(folder: Path, version: str) -> Path:
    """Write a wheel of a vultus that can only tell its version, in place of any other."""
    for old in folder.glob("vultus-*.whl"):
        old.unlink()
    program = f'def main():\n    print("vultus {version}")\n'.encode()
    files = dict.fromkeys(("vultus/cli.py", "vultus_export/cli.py"), program)
    files |= dict.fromkeys(("vultus/__init__.py", "vultus_export/__init__.py"), b"")
    path = make_wheel(folder, "vultus", version, files, "py3-none-any")
    write_sums(folder)
    return path


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of the wheels as wheelhouse.sh does."""
    lines = [f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.whl"))]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def make_kit(folder: Path, version: str = "1.0.0", pins: str = "cp310.txt") -> Kit:
    """Make a copy of jetson/ whose packages are tiny: one for every machine, one for aarch64, pip, and a vultus."""
    kit = Kit(folder / "jetson", folder / "wheels")
    kit.wheels.mkdir(parents=True)
    (kit.folder / "requirements").mkdir(parents=True)
    for name in ("install.sh", "platforms.tsv"):
        shutil.copy(ROOT / "jetson" / name, kit.folder)
    shutil.copytree(ROOT / "jetson" / "lib", kit.folder / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in TREE.items():
        kit.write(name, text)
    firstboot = kit.folder / "firstboot" / "vultus_firstboot"
    firstboot.mkdir(parents=True)
    (firstboot / "__init__.py").write_text("", encoding="utf-8")
    make_wheel(kit.wheels, "alpha", "1.2", {"alpha/__init__.py": b"", "alpha/x.pyi": b""}, "py3-none-any")
    library = {"beta/core.so": bytes(200_000)}
    make_wheel(kit.wheels, "beta_two", "3.4", library, "cp310-abi3-manylinux_2_28_aarch64")
    wheel_of_pip(kit.wheels)
    lines = [
        f"{'-'.join(path.name.split('-')[0].split('_'))}=={path.name.split('-')[1]} --hash=sha256:{_sha256(path)}\n"
        for path in sorted(kit.wheels.glob("*.whl"))
    ]
    (kit.folder / "requirements" / pins).write_text("".join(lines), encoding="utf-8")
    make_vultus(kit.wheels, version)
    return kit


def make_root(folder: Path, release: str = L4T, python: str = "3.10") -> Path:
    """Make the few files of a Jetson root file system that install.sh looks at."""
    for name in ("etc", "opt", "usr/bin", "usr/lib/systemd/system", "usr/local/bin", "var/lib/dpkg"):
        (folder / name).mkdir(parents=True)
    (folder / "etc/os-release").write_text("ID=ubuntu\n", encoding="utf-8")
    (folder / "etc/nv_tegra_release").write_text(release, encoding="utf-8")
    (folder / "usr/bin" / f"python{python}").symlink_to(sys.executable)
    return folder


def run_install(kit: Kit, root: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run install.sh on a root; its own process group, so that a kill can take everything at once."""
    command = [
        str(kit.folder / "install.sh"),
        "--root",
        str(root),
        "--offline",
        "--wheelhouse",
        str(kit.wheels),
    ]
    return subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VULTUS_PYTHON": sys.executable, **kit.environment, **environment},
        start_new_session=True,
        timeout=120,
    )


def listing(root: Path, leave_out: Iterable[str] = ()) -> dict[str, str]:
    """Return every path below a root with its kind, rights and content; these names, and what is in them, left out."""
    left_out = tuple(leave_out)
    return {
        name: _entry(path)
        for path in sorted(root.rglob("*"))
        if not (name := path.relative_to(root).as_posix()).startswith(left_out or ("\0",))
    }


def _entry(path: Path) -> str:
    if path.is_symlink():
        return f"link {os.readlink(path)}"
    rights = f"{path.stat().st_mode & 0o7777:o}"
    if not path.is_file():
        return f"folder {rights}" if path.is_dir() else f"device {rights}"
    return f"file {rights} {_sha256(path)}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_whole(release: Path) -> bool:
    """Whether every file of a release is the one of its manifest."""
    lines = (release / "manifest.sha256").read_text(encoding="utf-8").splitlines()
    return bool(lines) and all(_sha256(release / line[66:]) == line[:64] for line in lines)


MUTATORS = ("chmod", "cp", "ln", "mkdir", "mv", "rm", "sync", "tar", "touch")
SHIM = """#!/bin/sh
echo step >>"$STEPS"
[ "$(wc -l <"$STEPS")" -lt "${{STOP_AT:-1000000}}" ] || kill -9 0
case "$*" in *"${{STOP_ON:-no such argument}}"*) kill -9 0 ;; esac
exec {real} "$@"
"""


def interrupt_after(folder: Path) -> dict[str, str]:
    """Return an environment in which each command that changes files is counted, and STOP_AT kills before that one.

    STOP_ON kills before the first whose arguments hold that text.
    """
    folder.mkdir()
    for name in MUTATORS:
        real = shutil.which(name)
        if real is None:
            pytest.skip(f"there is no {name} here")
        (folder / name).write_text(SHIM.format(real=real), encoding="utf-8")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "STEPS": str(folder / "steps")}


def make_bundle(folder: Path, text: str = "a model") -> Path:
    """Make a folder as `vultus models install` leaves it, as far as install.sh looks."""
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "tiny.onnx").write_text(text, encoding="utf-8")
    return seal_bundle(folder)


def seal_bundle(folder: Path) -> Path:
    """Give a folder of models the index and the checksums of a bundle."""
    (folder / "bundle.json").write_text(json.dumps({"schema": 1}), encoding="utf-8")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(folder / name)}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    return folder
