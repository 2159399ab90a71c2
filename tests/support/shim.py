"""The shipped CUDA kernels as one host library: g++ compiles them behind `cuda_shim/shim.h`."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

__all__ = ["KERNELS", "compile_shim", "launch", "open_shim", "reverse_order", "shim_library"]

HEADER = Path(__file__).parent / "cuda_shim" / "shim.h"
KERNELS = Path(__file__).parents[2] / "runtime" / "vultus" / "cuda" / "code" / "kernels"
OPTIONS = (
    *("-std=c++17", "-O2", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing"),
    *("-ftls-model=local-dynamic", "-Wall", "-Wno-unknown-pragmas", "-Wno-unused-function"),
)

Argument = (
    int | float | npt.NDArray[np.generic] | ctypes.c_void_p | ctypes.c_int | ctypes.c_uint | ctypes.c_float
)


def compile_shim(unit: str, target: Path, folder: Path = KERNELS) -> None:
    """Compile a translation unit that may include the kernels of `folder` into a library.

    Raises RuntimeError with the compiler's words.
    """
    command = [
        "g++",
        *OPTIONS,
        "-I",
        str(folder),
        "-include",
        str(HEADER),
        "-x",
        "c++",
        "-",
        "-o",
        str(target),
    ]
    done = subprocess.run(command, input=unit, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"g++ refused the kernels:\n{done.stderr}")


@lru_cache(maxsize=1)
def shim_library() -> Path:
    """Return the library of all kernels, compiled once for each state of their sources; skip without g++."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed, so the kernels cannot run on the host")
    sources = sorted([*KERNELS.glob("*.cu"), *KERNELS.glob("*.cuh"), HEADER])
    version = subprocess.run(["g++", "--version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(repr(OPTIONS).encode() + version)
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"vultus-shim-{os.getuid()}"
    library = folder / f"kernels-{digest.hexdigest()[:20]}.so"
    if not library.exists():
        folder.mkdir(exist_ok=True)
        fresh = folder / f"{library.stem}.{os.getpid()}.tmp"
        compile_shim("".join(f'#include "{path.name}"\n' for path in sources if path.suffix == ".cu"), fresh)
        fresh.replace(library)
    return library


@lru_cache(maxsize=1)
def open_shim() -> ctypes.CDLL:
    """Return the loaded library of all kernels."""
    return ctypes.CDLL(str(shim_library()))


def reverse_order(on: bool) -> None:
    """Let blocks and threads run last to first: what then differs depends on chance on a GPU."""
    open_shim().shim_reverse(int(on))


def launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Argument) -> None:
    """Run a kernel to its end; arrays go as their addresses, int as C int, float as C float."""
    values = [_c_value(argument) for argument in arguments]
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    sizes = [*grid, *[1] * (3 - len(grid)), *block, *[1] * (3 - len(block))]
    getattr(open_shim(), f"shim_{name}")(pointers, *(ctypes.c_uint(size) for size in sizes))


def _c_value(argument: Argument) -> ctypes.c_void_p | ctypes.c_int | ctypes.c_uint | ctypes.c_float:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, float):
        return ctypes.c_float(argument)
    if isinstance(argument, int):
        return ctypes.c_int(argument)
    return argument
