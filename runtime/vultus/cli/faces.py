"""Faces as a table for people: one row a face, and only the columns that were measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import numpy as np

    from vultus.types import FaceArray

__all__ = ["faces_table"]


def faces_table(name: str, faces: FaceArray) -> Table:
    """Return a table of the faces of one picture."""
    import numpy as np

    table = Table(title=escape(name), title_justify="left", header_style="bold")
    table.add_column("#", justify="right")
    columns = {field: write for field, write in _COLUMNS.items() if np.isfinite(faces[field]).any()}
    for field in columns:
        table.add_column(_TITLES.get(field, field), justify="right" if field in _NUMBERS else "left")
    for row, face in enumerate(faces, 1):
        table.add_row(str(row), *(write(face) for write in columns.values()))
    return table


def _box(face: np.void) -> str:
    x1, y1, x2, y2 = face["box"]
    return f"{x1:.0f},{y1:.0f} {x2 - x1:.0f}x{y2 - y1:.0f}"


def _age(face: np.void) -> str:
    import numpy as np

    spread = f" ±{face['age_spread']:.0f}" if np.isfinite(face["age_spread"]) else ""
    return f"{face['age']:.0f}{spread}"


def _pose(face: np.void) -> str:
    return " ".join(f"{angle:+.0f}°" for angle in face["pose"])


def _likeliest(field: str) -> Callable[[np.void], str]:
    """Return the writer of the likeliest label and its probability."""

    def write(face: np.void) -> str:
        from vultus.abi import LABELS

        place = int(face[field].argmax())
        return f"{LABELS[field][place]} {face[field][place]:.0%}"

    return write


def _facial_hair(face: np.void) -> str:
    from vultus.abi import LABELS

    pairs = zip(LABELS["facial_hair"], face["facial_hair"], strict=True)
    return ", ".join(label for label, value in pairs if value > 0.5) or "none"


def _number(field: str, form: str) -> Callable[[np.void], str]:
    return lambda face: format(float(face[field]), form)


_COLUMNS: dict[str, Callable[[np.void], str]] = {
    "score": _number("score", ".2f"),
    "box": _box,
    "age": _age,
    "gender": _likeliest("gender"),
    "ethnicity": _likeliest("ethnicity"),
    "expression": _likeliest("expression"),
    "smile": _number("smile", ".0f"),
    "attractiveness": _number("attractiveness", ".0f"),
    "eyeglasses": _number("eyeglasses", ".0%"),
    "facial_hair": _facial_hair,
    "pose": _pose,
    "quality": _number("quality", ".2f"),
}
_TITLES = {
    "box": "place, size",
    "attractiveness": "attractive",
    "eyeglasses": "glasses",
    "facial_hair": "facial hair",
    "pose": "yaw pitch roll",
}
_NUMBERS = {"score", "age", "smile", "attractiveness", "eyeglasses", "quality", "pose"}
