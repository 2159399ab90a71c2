"""A root file system for aarch64, made by mmdebstrap and run by qemu; what it needs is kept below runs/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import pytest

import fake_cuda
import shim
from repository import ROOT, registry_fault

__all__ = ["PLATFORMS", "install_into", "make_rootfs", "run_inside", "stub_board", "wheelhouse"]

PLATFORMS = ROOT / "tests/jetson/platforms/platforms.tsv"
KEPT = ROOT / "runs/jetson"
SUPPORT = Path(__file__).parent
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


def stub_board(root: Path) -> dict[str, str]:
    """Put a GPU for tests into the root: driver, kernels and TensorRT are the tests' stubs, compiled for aarch64.

    TensorRT comes where a Jetson's own package puts it, so that the link of the installed venv must find it.
    Returns the environment in which programs see it; skips without cross compilers.
    """
    _skip_without("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++")
    folder = root / "opt/test"
    (folder / "lib").mkdir(parents=True)
    left_out = shutil.ignore_patterns("__pycache__", "boards", "fake_cuda", "cuda_shim")
    shutil.copytree(SUPPORT, folder / "support", ignore=left_out)
    system = root / "usr/lib/python3.11/dist-packages/tensorrt"
    shutil.copytree(SUPPORT / "stub_tensorrt/tensorrt", system, ignore=left_out)
    # In no folder with the stub's tensorrt; it shortens the self-test.
    shutil.copy(SUPPORT / "stub_tensorrt/sitecustomize.py", folder / "support")
    shutil.copytree(_reader_of_models(), folder / "site")
    units = [str(path) for path in sorted(fake_cuda.SOURCES.glob("*.c"))]
    driver = ["aarch64-linux-gnu-gcc", *fake_cuda.FLAGS, "-o", str(folder / "lib/libcuda.so.1"), *units]
    subprocess.run([*driver, "-ldl", "-lpthread"], check=True)
    kernels = "".join(f'#include "{path.name}"\n' for path in sorted(shim.KERNELS.glob("*.cu")))
    where = ["-I", str(shim.KERNELS), "-include", str(shim.HEADER), "-o", str(folder / "lib/kernels.so")]
    compiler = ["aarch64-linux-gnu-g++", *shim.OPTIONS, *where, "-x", "c++", "-"]
    subprocess.run(compiler, input=kernels, text=True, check=True)
    return {
        "LD_LIBRARY_PATH": "/opt/test/lib",
        "PYTHONPATH": "/opt/test/support:/opt/test/site",
        "VULTUS_SHIM_LIBRARY": "/opt/test/lib/kernels.so",
        "VULTUS_FAKE_FAULTS": "",
        "VULTUS_FAKE_CAPABILITY": "87",
        "VULTUS_FAKE_INTEGRATED": "1",
        "VULTUS_STUB_SHORT": "1",
    }


@lru_cache(maxsize=1)
def _reader_of_models() -> Path:
    """Return a folder with the onnx package for aarch64, by which the stub of TensorRT reads models."""
    folder = KEPT / "onnx"
    if not folder.exists():
        script = f'source {ROOT}/jetson/lib/wheels.sh; PYTHON=3.11; target_options; printf "%s\\n" "${{TARGET[@]}}"'
        target = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
        wanted = [
            f"{name}=={version(name)}" for name in ("onnx", "protobuf", "ml_dtypes", "typing_extensions")
        ]
        partial = KEPT / f"partial-onnx-{os.getpid()}"
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            *target,
            "--target",
            str(partial),
        ]
        subprocess.run([*command, *wanted], check=True)
        partial.rename(folder)
    return folder


def run_inside(
    root: Path, *command: str, environment: Mapping[str, str] | None = None, timeout: float = 200
) -> subprocess.CompletedProcess[str]:
    """Run a command of the root file system under qemu."""
    return subprocess.run(
        [str(shutil.which("chroot")), str(root), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=ENVIRONMENT | dict(environment or {}),
    )
