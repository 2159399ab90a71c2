"""Labels of every picture set in one table with one meaning a column; NaN or -1 says that a label is missing."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from vultus.types import ETHNICITIES, EXPRESSIONS, GENDERS

__all__ = ["LABELS", "SETS", "five_from_68", "held_out", "label_of", "true_points"]

Row = Mapping[str, str]
Array = npt.NDArray[np.float64]

SETS = ("utkface", "fer2013", "celeba", "mtfl", "mebeauty", "landmarks68", "video68")

LABELS = np.dtype(
    [
        ("age", np.float32),  # years, NaN
        ("gender", np.int8),  # index into GENDERS, -1
        ("ethnicity", np.int8),  # index into ETHNICITIES, -1
        ("expression", np.int8),  # index into EXPRESSIONS, -1
        ("smile", np.float32),  # 0 or 1, NaN
        ("attractiveness", np.float32),  # share of the scale, 0-1, NaN
        ("attractive", np.float32),  # 0 or 1 (an auxiliary label), NaN
        ("eyeglasses", np.float32),  # 0 or 1, NaN
        ("facial_hair", np.float32, (5,)),  # 0 or 1 in the order of FACIAL_HAIR, NaN
        ("profile", np.int8),  # 1 left profile ... 5 right profile, 0 when unknown
    ]
)

HELD_OUT = {"mtfl": 6, "landmarks68": 12, "video68": 8}
"""Per cent of the train split that is kept for validation in sets without a validation split."""

_ETHNICITY = {"caucasian": "white", "others": "other", "hispanic": "other", "mideastern": "other"}


def held_out(name: str, row: Row) -> bool:
    """Say whether a training row is kept for validation: a fixed choice by file, or by clip in video68."""
    key = row["clip"] if name == "video68" else row["file"]
    return zlib.crc32(f"{name}/{key}".encode()) % 100 < HELD_OUT.get(name, 0)


def five_from_68(landmarks: npt.ArrayLike) -> Array:
    """Return the five points (..., 5, 2) of 68 landmarks (..., 68, 2): eye centres, nose tip, mouth corners."""
    marks = np.asarray(landmarks, np.float64)
    eyes = [marks[..., first : first + 6, :].mean(axis=-2) for first in (36, 42)]
    return np.stack([*eyes, *(marks[..., k, :] for k in (30, 48, 54))], axis=-2)


def true_points(name: str, row: Row) -> tuple[Array, Array] | None:
    """Return the labelled five points (5, 2) and landmarks (68, 2; NaN in mtfl), or None."""
    if name == "mtfl":
        names = ("leye", "reye", "nose", "lmouth", "rmouth")
        five = np.array([[float(row[f"{n}_x"]), float(row[f"{n}_y"])] for n in names])
        return five, np.full((68, 2), np.nan)
    if name in ("landmarks68", "video68"):
        marks = np.array([[float(row[f"x{k}"]), float(row[f"y{k}"])] for k in range(68)])
        return five_from_68(marks), marks
    return None


def label_of(name: str, row: Row) -> npt.NDArray[np.void]:
    """Return the labels of one row as a record of dtype LABELS."""
    label = np.zeros((), LABELS)
    for field in LABELS.names or ():
        label[field] = -1 if LABELS[field] == np.int8 else np.nan
    label["profile"] = 0
    if name in _READERS:
        _READERS[name](row, label)
    return label


def _index(names: tuple[str, ...], value: str) -> int:
    return names.index(value) if value in names else -1


def _utkface(row: Row, label: npt.NDArray[np.void]) -> None:
    label["age"] = min(float(row["age"]), 100.0)
    _person(row, label)


def _person(row: Row, label: npt.NDArray[np.void]) -> None:
    label["gender"] = _index(GENDERS, row["gender"])
    label["ethnicity"] = _index(ETHNICITIES, _ETHNICITY.get(row["ethnicity"], row["ethnicity"]))


def _fer2013(row: Row, label: npt.NDArray[np.void]) -> None:
    label["expression"] = _index(EXPRESSIONS, row["expression"])


def _celeba(row: Row, label: npt.NDArray[np.void]) -> None:
    label["gender"] = int(row["male"])
    label["smile"], label["eyeglasses"] = float(row["smiling"]), float(row["eyeglasses"])
    label["attractive"] = float(row["attractive"])
    hair = [
        1 - int(row["no_beard"]),
        *(int(row[k]) for k in ("mustache", "goatee", "sideburns", "five_oclock")),
    ]
    label["facial_hair"] = hair


def _mtfl(row: Row, label: npt.NDArray[np.void]) -> None:
    label["gender"] = _index(GENDERS, row["gender"])
    label["smile"], label["eyeglasses"] = float(row["smile"]), float(row["glasses"])
    label["profile"] = int(row["pose"])


def _mebeauty(row: Row, label: npt.NDArray[np.void]) -> None:
    _person(row, label)
    label["attractiveness"] = (float(row["score_1_10"]) - 1) / 9


_READERS: dict[str, Callable[[Row, npt.NDArray[np.void]], None]] = {
    "utkface": _utkface,
    "fer2013": _fer2013,
    "celeba": _celeba,
    "mtfl": _mtfl,
    "mebeauty": _mebeauty,
}
