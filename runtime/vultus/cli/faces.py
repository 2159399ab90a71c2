"""Faces as a table for people: one row a face, and only the columns that were measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import numpy as np

    from vultus.types import FaceArray

__all__ = ["faces_table"]

WIDE = 140  # columns that a table of all attributes needs


def faces_table(name: str, faces: FaceArray, width: int) -> Table:
    """Return a table of the faces of one picture; on a narrow terminal all attributes share one column."""
    import numpy as np

    table = Table(title=escape(name), title_justify="left", header_style="bold")
    table.add_column("#", justify="right")
    fields = [field for field in _COLUMNS if np.isfinite(faces[field]).any()]
    alone = fields if width >= WIDE else [field for field in fields if field in ("score", "box")]
    together = [field for field in fields if field not in alone]
    for field in alone:
        justify: Literal["right", "left"] = "right" if field in _NUMBERS else "left"
        table.add_column(_title(field), justify=justify, overflow="fold", no_wrap=field == "box")
    if together:
        table.add_column("attributes")
    for row, face in enumerate(faces, 1):
        cells = {field: _COLUMNS[field](face) if np.isfinite(face[field]).all() else "" for field in fields}
        words = ", ".join(f"{_title(field)} {cells[field]}" for field in together if cells[field])
        table.add_row(str(row), *(cells[field] for field in alone), *([words] if together else []))
    return table


def _title(field: str) -> str:
    return _TITLES.get(field, field)


def _box(face: np.void) -> str:
    x1, y1, x2, y2 = face["box"]
    return f"{x1:.0f},{y1:.0f} {x2 - x1:.0f}x{y2 - y1:.0f}"


def _age(face: np.void) -> str:
    import numpy as np

    spread = f" ±{face['age_spread']:.0f}" if np.isfinite(face["age_spread"]) else ""
    return f"{face['age']:.0f}{spread}"


def _pose(face: np.void) -> str:
    return " ".join(f"{round(float(angle)) + 0:+d}°" for angle in face["pose"])


def _likeliest(field: str) -> Callable[[np.void], str]:
    """Return the writer of the likeliest label and its probability."""

    def write(face: np.void) -> str:
        from vultus.types import LABELS

        place = int(face[field].argmax())
        return f"{LABELS[field][place]} {face[field][place]:.0%}"

    return write


def _facial_hair(face: np.void) -> str:
    from vultus.types import LABELS

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
