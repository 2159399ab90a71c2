"""A CUDA driver for tests: builds the fake libcuda.so.1 and runs code on it, in a process of its own.

The fake runs the shipped kernels on the CPU and keeps the driver's rules about streams, captures and memory. What
runs on it says nothing about a GPU.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

__all__ = ["fake_environment", "fake_library", "run_with_fake"]

SOURCES = Path(__file__).with_name("fake_cuda")
SUPPORT = Path(__file__).parent
FLAGS = [
    "-std=gnu11",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-shared",
    "-fPIC",
    "-Wl,-soname,libcuda.so.1",
]


@functools.cache
def fake_library() -> Path:
    """Return the compiled libcuda.so.1, made once for each state of its sources; skips without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the fake CUDA driver needs Linux and a C compiler")
    files = sorted(SOURCES.glob("*.[ch]"))
    key = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"vultus-fake-cuda-{os.getuid()}-{key}" / "libcuda.so.1"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        part = library.with_name(f"part-{os.getpid()}")
        units = [str(file) for file in files if file.suffix == ".c"]
        subprocess.run([compiler, *FLAGS, "-o", str(part), *units, "-ldl", "-lpthread"], check=True)
        part.replace(library)
    return library


def fake_environment(
    faults: str = "", shim: Path | None = None, settings: Mapping[str, object] | None = None
) -> dict[str, str]:
    """Return an environment in which the fake is the CUDA driver.

    faults: as in fake_cuda/calls.c. shim: the library with the kernels. settings: DRIVER (13000), DEVICES (1),
    CAPABILITY (87), INTEGRATED (0), MEMORY (bytes), GUARD (0).
    """
    folders = [str(fake_library().parent), os.environ.get("LD_LIBRARY_PATH", "")]
    paths = [str(SUPPORT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, folders)),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "VULTUS_FAKE_FAULTS": faults,
        "VULTUS_SHIM_LIBRARY": str(shim or ""),
    }
    return environment | {f"VULTUS_FAKE_{name}": str(value) for name, value in (settings or {}).items()}


def run_with_fake(
    code: str | Path,
    faults: str = "",
    shim: Path | None = None,
    settings: Mapping[str, object] | None = None,
    timeout: float = 120,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run Python code, or a script, on the fake driver; fails the test with its output when it fails."""
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        *([str(code)] if isinstance(code, Path) else ["-c", code]),
    ]
    done = subprocess.run(
        command,
        env=fake_environment(faults, shim, settings),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if check and done.returncode:
        pytest.fail(f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done
