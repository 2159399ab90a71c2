"""Reading MATLAB's level 5 files as far as face lists need it: numbers, text, and cells of both.

The format is that of MathWorks' "MAT-File Format": tagged elements, padded to eight bytes, each perhaps deflated. Files
of version 7.3 are HDF5 and are refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_mat"]

NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
    18: "u4",
}
"""Type of a data element -> its numbers; the last three are text."""

MATRIX, DEFLATED = 14, 15
CELL, TEXT, DOUBLE, LAST_NUMBER = 1, 4, 6, 15
HEADER = 128


def read_mat(path: Path) -> dict[str, Any]:
    """Return the variables of a file by name: numbers as arrays, text as str, cells as object arrays of those.

    Arrays have MATLAB's shapes, so they are never of fewer than two dimensions. Variables of other classes are left
    out. Raises ValueError when the file is no MAT file of level 5, or damaged.
    """
    data = path.read_bytes()
    if (
        len(data) < HEADER
        or data[126:128] not in (b"IM", b"MI")
        or data[124:126] in (b"\x00\x02", b"\x02\x00")
    ):
        raise ValueError(f"{path} is no MAT file of level 5; save it with: save -v7")
    order = "<" if data[126:128] == b"IM" else ">"
    try:
        found = [_matrix(body, order) for kind, body in _elements(data[HEADER:], order) if kind == MATRIX]
    except (struct.error, zlib.error, ValueError, StopIteration, KeyError) as error:
        raise ValueError(f"{path} is damaged or holds what is not read here: {error}") from error
    return {name: value for name, value in found if value is not None}


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of the elements of a block; deflated ones as what they hold."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # a small element: its size shares the first four bytes, its content the next four
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        else:
            start = at + 8
            step = 8 + (size if kind == DEFLATED else -(-size // 8) * 8)
        if start + size > len(data):
            raise ValueError("an element is longer than its file")
        content = data[start : start + size]
        if kind == DEFLATED:
            yield from _elements(zlib.decompress(content), order)
        else:
            yield kind, content
        at += step


def _matrix(data: bytes, order: str) -> tuple[str, Any]:
    """Return name and value of one array; None for a class that is not read, an empty array for nothing."""
    if not data:
        return "", np.empty((0, 0))
    parts = _elements(data, order)
    flags = struct.unpack(f"{order}I", next(parts)[1][:4])[0]
    shape = tuple(np.frombuffer(next(parts)[1], f"{order}i4").tolist())
    name = next(parts)[1].decode("ascii")
    kind = flags & 0xFF
    if kind == CELL:
        cells = np.empty(int(np.prod(shape)), object)
        for place in range(len(cells)):
            cells[place] = _matrix(next(parts)[1], order)[1]
        return name, cells.reshape(shape, order="F")
    if kind != TEXT and not DOUBLE <= kind <= LAST_NUMBER:
        return name, None
    stored, content = next(parts)
    values = np.frombuffer(content, f"{order}{NUMBERS[stored]}")
    if kind == TEXT:
        return name, content.decode("utf-8") if stored in (1, 2, 16) else "".join(map(chr, values.tolist()))
    return name, values.reshape(shape, order="F")
