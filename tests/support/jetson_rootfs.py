"""A root file system for aarch64, made by mmdebstrap and run by qemu; what it needs is kept below runs/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from repository import ROOT, registry_fault

__all__ = ["PLATFORMS", "install_into", "make_rootfs", "run_inside", "wheelhouse"]

PLATFORMS = ROOT / "tests/jetson/platforms/platforms.tsv"
KEPT = ROOT / "runs/jetson"
PACKAGES = "python3.11,libstdc++6"
QEMU = "/usr/bin/qemu-aarch64-static"
# The processor nearest to a Jetson Orin's; bytecode goes where it is no part of the root.
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "PYTHONPYCACHEPREFIX": "/tmp/bytecode",
    "QEMU_CPU": "cortex-a76",
}
# The kernel here cannot run the target's Python, and its children and #! lines ask the kernel: a program of this
# machine in its place hands it to qemu under the name that it was called by.
WRAPPER = f"""#include <unistd.h>
int main(int count, char **given) {{
    char *command[count + 5];
    command[0] = "qemu"; command[1] = "-0"; command[2] = given[0]; command[3] = "/usr/bin/python3.11.aarch64";
    for (int i = 1; i <= count; i++) command[3 + i] = given[i];
    execv("{QEMU}", command);
    return 127;
}}
"""


def _skip_without(*tools: str) -> None:
    if os.geteuid():
        pytest.skip("a root file system of another machine needs root")
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(
            f"there is no {', '.join(missing)} (apt-get install mmdebstrap qemu-user-static gcc libc6-dev)"
        )


@lru_cache(maxsize=1)
def _base() -> Path:
    """Return the tarball of a bare Debian 12 for arm64; made once, in 20 seconds."""
    path = KEPT / "rootfs-bookworm.tar"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"partial-{os.getpid()}.tar")
        command = [
            "mmdebstrap",
            "--variant=extract",
            "--arch=arm64",
            f"--include={PACKAGES}",
            "bookworm",
            str(partial),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            partial.unlink(missing_ok=True)
            pytest.skip(
                f"mmdebstrap could not make a root file system: {done.stderr.strip().splitlines()[-1]}"
            )
        partial.rename(path)
    return path


def make_rootfs(folder: Path) -> Path:
    """Unpack the root file system into a folder, with qemu in it; skips where it cannot be had."""
    _skip_without("mmdebstrap", "qemu-aarch64-static", "gcc", "chroot")
    base = _base()
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "-xf", base], check=True)
    shutil.copy(QEMU, folder / "usr/bin")
    python = folder / "usr/bin/python3.11"
    python.rename(folder / "usr/bin/python3.11.aarch64")
    compiler = ["gcc", "-static", "-O1", "-x", "c", "-o", str(python), "-"]
    subprocess.run(compiler, input=WRAPPER, text=True, check=True)
    return folder


def wheelhouse() -> Path:
    """Return the wheels for it with the vultus of this checkout; skips where the registry cannot be reached."""
    if fault := registry_fault():
        pytest.skip(f"the wheels cannot be had: {fault}")
    out = KEPT / "wheelhouse"
    done = _script("wheelhouse.sh", "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


def install_into(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run install.sh on the root file system, from here."""
    return _script("install.sh", "--root", str(root), *options)


def _script(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "jetson" / name), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VULTUS_PLATFORMS": str(PLATFORMS), "VULTUS_PYTHON": sys.executable},
    )


def run_inside(root: Path, *command: str, timeout: float = 200) -> subprocess.CompletedProcess[str]:
    """Run a command of the root file system under qemu."""
    return subprocess.run(
        [str(shutil.which("chroot")), str(root), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=ENVIRONMENT,
    )
