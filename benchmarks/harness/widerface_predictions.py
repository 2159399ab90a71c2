"""Found faces in the text form that WIDER FACE asks for: EVENT/NAME.txt with the name, a count and a line a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["Found", "official_boxes", "read_found", "write_found"]

Array = npt.NDArray[np.float64]
Found = tuple[Array, Array]
"""Boxes (n, 4) as x, y, width, height in pixels, and scores (n,), best first."""


def official_boxes(boxes: npt.NDArray[np.floating]) -> Array:
    """Return boxes (n, 4) x1, y1, x2, y2 of the runtime, whole numbers being centres of pixels, as x, y, w, h."""
    values = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([values[:, :2] + 0.5, values[:, 2:] - values[:, :2]], axis=1)


def write_found(folder: Path, event: str, name: str, found: Found) -> Path:
    """Write one picture's file, boxes to a hundredth of a pixel, best score first, and return its path."""
    boxes, scores = found
    path = folder / event / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{' '.join(f'{value:.2f}' for value in boxes[place])} {scores[place]:.6f}"
        for place in np.argsort(-scores, kind="stable")
    ]
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
    values = values[np.argsort(-values[:, 4], kind="stable")]
    return values[:, :4], values[:, 4]
