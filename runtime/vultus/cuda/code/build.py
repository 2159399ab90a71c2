"""Build the packaged fatbin from the kernel sources; scripts/build-kernels fetches the compilers and calls this.

    python -m vultus.cuda.code.build COMPILERS [--check]

COMPILERS holds unpacked wheels: nvrtc-VERSION for each compiler, and nvcc-VERSION for the tool `fatbinary`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vultus.cuda.code.nvrtc import OPTIONS, Nvrtc
from vultus.cuda.code.sources import (
    ARCHITECTURES,
    FATBIN,
    RECORD,
    fatbin,
    kernel_names,
    kernel_sources,
    sources_hash,
)
from vultus.errors import DeviceError, VultusError

__all__ = ["COMPILERS", "build", "main"]

COMPILERS = {"12.6": (75, 80, 86, 87, 89, 90), "12.8": (100, 120), "13.0": (110,)}
"""Compiler version -> the architectures that it compiles for: the oldest that knows an architecture.

A driver takes code of its own CUDA version and of older ones; JetPack 6 brings a driver of CUDA 12.6.
"""

PTX = ("12.6", 75)
LARGEST = 4_000_000


def build(compilers: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the fatbin and what is to be noted of it; the same sources and compilers give the same bytes.

    Raises DeviceError when a compiler is missing or refuses the sources, or the fatbin is too large to ship.
    """
    sources = kernel_sources()
    with tempfile.TemporaryDirectory() as folder:
        images = list(_images(compilers, sources, Path(folder)))
        data = _joined(_tool(compilers), images, Path(folder))
    if len(data) > LARGEST:
        raise DeviceError(f"the fatbin has {len(data)} bytes; at most {LARGEST} are shipped in the package")
    record = {
        "schema": 1,
        "sources": sources_hash(sources),
        "fatbin": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "options": list(OPTIONS),
        "compilers": {f"NVRTC {version}": list(known) for version, known in COMPILERS.items()},
        "architectures": list(ARCHITECTURES),
        "ptx": PTX[1],
        "kernels": kernel_names(sources),
    }
    return data, record


def _images(compilers: Path, sources: dict[str, str], folder: Path) -> Iterator[str]:
    """Compile everything; yield what `fatbinary` is to be told of each image."""
    opened = {version: Nvrtc(_library(compilers / f"nvrtc-{version}")) for version in COMPILERS}
    of_architecture = {number: version for version, known in COMPILERS.items() for number in known}
    for number in ARCHITECTURES:
        path = folder / f"sm_{number}.cubin"
        path.write_bytes(opened[of_architecture[number]].machine_code(sources, number))
        yield f"--image3=kind=elf,sm={number},file={path}"
    version, number = PTX
    path = folder / f"compute_{number}.ptx"
    path.write_bytes(opened[version].assembly(sources, number))
    yield f"--image3=kind=ptx,sm={number},file={path}"


def _library(folder: Path) -> Path:
    found = sorted(path for path in folder.rglob("libnvrtc.so.*") if ".alt." not in path.name)
    if not found:
        raise DeviceError(f"{folder} holds no libnvrtc.so.*; scripts/build-kernels fetches it")
    return found[0]


def _tool(compilers: Path) -> Path:
    found = sorted(compilers.glob("nvcc-*/**/bin/fatbinary"))
    if not found:
        raise DeviceError(f"{compilers} holds no nvcc-*/.../bin/fatbinary; scripts/build-kernels fetches it")
    return found[0]


def _joined(tool: Path, images: Sequence[str], folder: Path) -> bytes:
    """Join the images uncompressed: older drivers do not know the newer ways of compressing."""
    out = folder / "kernels.fatbin"
    tool.chmod(0o755)
    command = [str(tool), "--64", "--compress=false", "--create", str(out), *images]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeviceError(f"fatbinary failed: {(done.stderr or done.stdout).strip()}")
    return out.read_bytes()


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and write, or compare; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("compilers", type=Path, help="folder of the unpacked compilers")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 when the bytes would differ"
    )
    asked = parser.parse_args(arguments)
    try:
        data, record = build(asked.compilers)
    except VultusError as error:
        sys.stderr.write(f"build-kernels: {error}\n")
        return 1
    text = json.dumps(record, indent=1) + "\n"
    same = FATBIN.exists() and fatbin() == data and RECORD.read_text("utf-8") == text
    if not same and not asked.check:
        FATBIN.write_bytes(gzip.compress(data, mtime=0))
        RECORD.write_text(text, encoding="utf-8")
    said = "up to date" if same else "differs: run scripts/build-kernels" if asked.check else "written"
    sys.stdout.write(f"{FATBIN.name}: {said}; {len(data)} bytes unpacked, {len(record['kernels'])} kernels\n")
    return int(asked.check and not same)


if __name__ == "__main__":
    sys.exit(main())
