"""WIDER FACE's files made small: MATLAB level 5 files as MATLAB writes them, and the text form."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Picture = tuple[str, str, Sequence[Sequence[float]]]
"""Event, name, and boxes as x, y, width, height."""


def save_mat(path: Path, variables: Mapping[str, Any], deflated: bool = True, order: str = "<") -> Path:
    """Write arrays, texts and lists (column cells) of those; small integers are packed as MATLAB does."""
    mark = b"IM" if order == "<" else b"MI"
    data = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + mark
    for name, value in variables.items():
        element = _matrix(value, name, order)
        if deflated:
            packed = zlib.compress(element)
            element = struct.pack(f"{order}II", 15, len(packed)) + packed
        data += element
    path.write_bytes(data)
    return path


def _element(kind: int, content: bytes, order: str) -> bytes:
    if 0 < len(content) <= 4:
        first = (len(content) << 16) | kind
        return struct.pack(f"{order}I", first) + content.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(content)) + content.ljust(-(-len(content) // 8) * 8, b"\0")


def _matrix(value: Any, name: str, order: str) -> bytes:
    if isinstance(value, str):
        kind, shape = 4, (1, len(value))
        content = _element(17, value.encode("utf-16-le" if order == "<" else "utf-16-be"), order)
    elif isinstance(value, list):
        kind, shape = 1, (len(value), 1)
        content = b"".join(_matrix(one, "", order) for one in value)
    else:
        numbers = np.atleast_2d(np.asarray(value, np.float64))
        kind, shape = 6, numbers.shape
        small = numbers.size and np.isin(numbers, np.arange(256)).all()
        stored = (2, f"{order}u1") if small else (9, f"{order}f8")
        content = _element(stored[0], numbers.astype(stored[1]).tobytes(order="F"), order)
    head = _element(6, struct.pack(f"{order}II", kind, 0), order)
    head += _element(5, struct.pack(f"{order}ii", *shape), order) + _element(1, name.encode(), order)
    return struct.pack(f"{order}II", 14, len(head + content)) + head + content


def save_truth(
    folder: Path, pictures: Sequence[Picture], lists: Mapping[str, Sequence[Sequence[int]]]
) -> Path:
    """Write the box file and one file a difficulty; lists hold for each picture its faces, counted from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    events = list(dict.fromkeys(event for event, _, _ in pictures))
    common = {
        "event_list": events,
        "file_list": [[name for of, name, _ in pictures if of == event] for event in events],
    }
    boxes = [[np.reshape(b, (-1, 4)) for of, _, b in pictures if of == event] for event in events]
    save_mat(folder / "wider_face_val.mat", {**common, "face_bbx_list": boxes})
    for difficulty, faces in lists.items():
        by_event = [
            [np.reshape(one, (-1, 1)) for (of, _, _), one in zip(pictures, faces, strict=True) if of == event]
            for event in events
        ]
        save_mat(folder / f"wider_{difficulty}_val.mat", {**common, "gt_list": by_event})
    return folder


def save_text(folder: Path, pictures: Sequence[Picture], invalid: Sequence[tuple[int, int]] = ()) -> Path:
    """Write the text form; `invalid` names (picture, face) pairs, counted from 0, that are marked so."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for place, (event, name, boxes) in enumerate(pictures):
        lines += [f"{event}/{name}.jpg", str(len(boxes))]
        for face, box in enumerate(boxes):
            mark = int((place, face) in invalid)
            lines.append(" ".join(f"{value:g}" for value in box) + f" 0 0 0 {mark} 0 0 ")
        lines += [] if boxes else ["0 0 0 0 0 0 0 0 0 0 "]
    (folder / "wider_face_val_bbx_gt.txt").write_text("\n".join(lines) + "\n")
    return folder
