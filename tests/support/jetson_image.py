"""What the tests of the Jetson files share: the files as they lie on a device, and scratch roots."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from repository import ROOT

JETSON = ROOT / "jetson"
TREE = JETSON / "tree"
UNITS = TREE / "usr" / "lib" / "systemd" / "system"
HOST_UNITS = Path("/usr/lib/systemd/system")


def need(*programs: str) -> None:
    """Skip the test, with the reason, where a program is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")


def need_root() -> None:
    """Skip the test where it may not give files to other users."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files to other users")


def called(
    command: Sequence[str | Path], environment: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command and return its code and what it said."""
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=environment, cwd=cwd, check=False
    )


def device_root(folder: Path) -> Path:
    """Return a root in which the units' programs and the host's targets stand, for systemd-analyze."""
    shutil.copytree(TREE / "usr", folder / "usr")
    targets = ("basic", "local-fs", "multi-user", "network", "shutdown", "sysinit")
    for target in targets:
        shutil.copy(HOST_UNITS / f"{target}.target", folder / "usr" / "lib" / "systemd" / "system")
    for program in ("opt/vultus/current/venv/bin/python", "bin/kill"):
        path = folder / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return folder


def staging(folder: Path, version: str = "0.9.0", release: str = "0.9.0-0badcafe") -> Path:
    """Return a tree shaped as install.sh leaves it, with a few small files in place of the wheels."""
    site = folder / "opt/vultus/releases" / release / "venv/lib/python3.10/site-packages"
    files = {
        site / "vultus" / "__init__.py": f'__version__ = "{version}"\n',
        site / f"vultus-{version}.dist-info" / "METADATA": f"Name: vultus\nVersion: {version}\n",
        site.parents[3] / "lib/vultus_firstboot/__main__.py": "",
        folder / "opt/vultus/models.d/0badcafe/bundle.json": "{}\n",
        folder / "etc/vultus/vultus.toml": "schema = 1\n",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True)
        path.write_text(text)
    shutil.copytree(TREE / "usr", folder / "usr")
    links = {
        "opt/vultus/current": f"releases/{release}",
        "opt/vultus/models": "models.d/0badcafe",
        f"opt/vultus/releases/{release}/venv/bin/python": "/usr/bin/python3.10",
        "usr/local/bin/vultus": "/opt/vultus/current/venv/bin/vultus",
        "etc/systemd/system/multi-user.target.wants/vultus.service": "/usr/lib/systemd/system/vultus.service",
    }
    for name, target in links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    return folder


def board_root(folder: Path, release: str = "R36 (release), REVISION: 4.3") -> Path:
    """Return what of a board's root file system the scripts look at."""
    (folder / "etc").mkdir(parents=True)
    (folder / "usr").mkdir()
    (folder / "etc/nv_tegra_release").write_text(f"# {release}, GCID: 1, BOARD: generic, EABI: aarch64\n")
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\nvideo:x:44:\nrender:x:109:\n")
    return folder


def everything(folder: Path) -> dict[str, str]:
    """Return every file with its checksum, every link with its target, and every folder, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


def settings(unit: str) -> dict[str, list[str]]:
    """Return every setting of a unit with its values in order."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text("utf-8").splitlines():
        if "=" in line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found
