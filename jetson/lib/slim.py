"""Make an installed folder of packages smaller without changing what it does, for any architecture.

Removes files that no run reads, and from shared libraries what `strip --strip-unneeded` would: bytes that belong to no
loaded segment (symbols, debugging data, section headers). Half of PyAV and nine tenths of zstandard are such bytes.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

__all__ = ["compact", "slim"]

# Of cuda-bindings only the driver's part is imported; these are NVIDIA's other libraries.
OTHER_LIBRARIES = ("cudla", "cufile", "nvfatbin", "nvjitlink", "nvml", "nvvm")
UNREAD = (
    "**/*.pyc",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pyx.in",
    "**/*.pxd",
    "bin",
    "cffi/*.h",
    *(f"cuda/bindings/{place}{name}.*" for name in OTHER_LIBRARIES for place in ("", "cy", "_internal/")),
    "numpy/**/tests",
    "numpy/**/*.a",
    "numpy/_core/*_tests.*",
    "numpy/_core/include",
    "numpy/distutils",
    "numpy/f2py",
    # The library for C programs; the Python module holds all of it once more.
    "onnxruntime/capi/libonnxruntime.so.*",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    # The same as zstandard/backend_c, for PyPy.
    "zstandard/_cffi.*",
)
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
LOAD = 1


def _segments(data: bytes, header: tuple[int, ...]) -> list[list[int]]:
    return [list(SEGMENT.unpack_from(data, header[5] + i * SEGMENT.size)) for i in range(header[10])]


def _moves(loads: list[list[int]]) -> list[tuple[int, int, int]]:
    """Where each loaded segment goes: (old offset, length, new offset), congruent to its address."""
    end = 0
    found: list[tuple[int, int, int]] = []
    for segment in sorted(loads, key=lambda segment: segment[2]):
        offset, address, length, align = segment[2], segment[3], segment[5], max(segment[7], 1)
        new = end + (address - end) % align if found else offset
        found.append((offset, length, min(new, offset)))
        end = found[-1][2] + length
    return found


def _moved(offset: int, length: int, moves: list[tuple[int, int, int]]) -> int | None:
    for old, size, new in moves:
        if old <= offset and offset + length <= old + size:
            return new + offset - old
    return None


def compact(data: bytes) -> bytes:
    """Return a 64-bit little-endian ELF library with its loaded segments alone, or data itself.

    Args:
        data: a file.

    Returns:
        The smaller file; `data` where it is none of these, or holds headers that no loaded segment covers.
    """
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < HEADER.size:
        return data
    header = list(HEADER.unpack_from(data))
    segments = _segments(data, tuple(header))
    loads = [segment for segment in segments if segment[0] == LOAD and segment[5]]
    moves = _moves(loads)
    table = _moved(header[5], header[10] * SEGMENT.size, moves)
    if table is None or moves[0][0] != 0:
        return data
    for segment in segments:
        place = _moved(segment[2], segment[5], moves) if segment[5] else 0
        if place is None:
            return data
        segment[2] = place if segment[5] else segment[3] % max(segment[7], 1)
    out = bytearray(moves[-1][2] + moves[-1][1])
    for old, length, new in moves:
        out[new : new + length] = data[old : old + length]
    header[5], header[6], header[11], header[12], header[13] = table, 0, 0, 0, 0
    HEADER.pack_into(out, 0, *header)
    for index, segment in enumerate(segments):
        SEGMENT.pack_into(out, table + index * SEGMENT.size, *segment)
    return bytes(out) if len(out) < len(data) else data


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _remove(child)
        path.rmdir()
    else:
        path.unlink()


def slim(folder: Path) -> int:
    """Make a folder of packages smaller, in place.

    Args:
        folder: site-packages, or what pip's `--target` wrote.

    Returns:
        How many bytes it lost.
    """
    before = _size(folder)
    for pattern in UNREAD:
        for path in list(folder.glob(pattern)):
            if path.exists():
                _remove(path)
    for path in folder.rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            smaller = compact(data)
            if smaller is not data:
                path.write_bytes(smaller)
    return before - _size(folder)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.stdout.write(f"{slim(Path(os.fsdecode(sys.argv[1]))) // 10**6}\n")
