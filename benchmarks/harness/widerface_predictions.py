"""Found faces in the text form that WIDER FACE asks for: EVENT/NAME.txt with the name, a count and a line a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.found_faces import Found, best_first, found_lines, official_boxes

__all__ = ["Found", "official_boxes", "read_found", "write_found"]


def write_found(folder: Path, event: str, name: str, found: Found) -> Path:
    """Write one picture's file, boxes to a hundredth of a pixel, best score first, and return its path."""
    path = folder / event / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = found_lines(found)
    path.write_text("\n".join([name, str(len(rows)), *rows]) + "\n", encoding="utf-8")
    return path


def read_found(folder: Path, event: str, name: str) -> Found | None:
    """Return what a file of one picture holds, best score first; None when there is no file.

    Raises ValueError naming the file when it is malformed.
    """
    path = folder / event / f"{name}.txt"
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        count = int(lines[1])
        rows = [[float(word) for word in line.split()] for line in lines[2 : 2 + count]]
        values = np.array(rows, np.float64).reshape(count, 5)
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"{path} is no file of found faces (a name, a count, then x y width height score a line): {error}"
        ) from error
    if not np.isfinite(values).all():
        raise ValueError(f"{path} holds a number that is not finite")
    return best_first(values)
