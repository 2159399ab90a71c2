"""What the tests of the Jetson files share: the files as they lie on a device, and scratch roots."""

from __future__ import annotations

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


def settings(unit: str) -> dict[str, list[str]]:
    """Return every setting of a unit with its values in order."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text("utf-8").splitlines():
        if "=" in line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found
