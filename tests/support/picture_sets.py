"""Picture sets made on the spot: NAME.tar with PNG members and NAME.csv, as the readers of sets expect them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import tiny
from vultus.geometry import FACE_TEMPLATE
from vultus_models.data import sets

Pixels = npt.NDArray[np.uint8]
Entry = tuple[Pixels, dict[str, object]]

POINT_NAMES = ("leye", "reye", "nose", "lmouth", "rmouth")
LABELS: dict[str, dict[str, object]] = {
    "utkface": {"age": 30, "gender": "female", "ethnicity": "white"},
    "fer2013": {"expression": "happy"},
    "celeba": {
        "eyeglasses": 0,
        "smiling": 1,
        "male": 0,
        "no_beard": 1,
        "mustache": 0,
        "goatee": 0,
        "sideburns": 0,
    },
    "mebeauty": {"gender": "male", "ethnicity": "asian", "score_1_10": 5.5},
}
OTHERS: dict[str, dict[str, object]] = {
    "utkface": {"age": 4, "gender": "male", "ethnicity": "others"},
    "fer2013": {"expression": "sad"},
    "celeba": {
        "eyeglasses": 1,
        "smiling": 0,
        "male": 1,
        "no_beard": 0,
        "mustache": 1,
        "goatee": 1,
        "sideburns": 0,
    },
    "mebeauty": {"gender": "female", "ethnicity": "black", "score_1_10": 9.1},
}


def write_set(folder: Path, name: str, entries: Sequence[Entry], split: str = "test") -> None:
    """Write one set; an entry's labels may name another `split`."""
    sets.write_set(folder, name, entries, split, ".png")


def points_of_cell(x: int, y: int) -> npt.NDArray[np.float64]:
    """Return the five points that the detector of white squares gives for the cell at a corner."""
    return FACE_TEMPLATE * tiny.CELL + (x - 0.5, y - 0.5)


def labelled_points(points: npt.NDArray[np.float64]) -> dict[str, object]:
    """Return five points as the columns of an mtfl row."""
    pairs = zip(POINT_NAMES, points, strict=True)
    return {f"{name}_{axis}": f"{p[i]:.2f}" for name, p in pairs for i, axis in enumerate("xy")}


def labelled_landmarks(points: npt.NDArray[np.float64]) -> dict[str, object]:
    """Return 68 points as the columns of a landmarks68 row."""
    return {f"{axis}{k}": f"{p[i]:.2f}" for k, p in enumerate(points) for i, axis in enumerate("xy")}


def coloured(width: int, height: int, seed: int, *corners: tuple[int, int]) -> Pixels:
    """Return a dark picture of its own colour, so that no two faces measure alike, with white cells."""
    picture = tiny.squares(width, height, *corners)
    colour = np.random.default_rng(seed).integers(10, 90, 3).astype(np.uint8)
    return np.where(picture == 255, picture, colour).astype(np.uint8)


def write_all(folder: Path) -> Path:
    """Write every set, small, for the detector of white squares. What it should measure:

    crowds: three true boxes, of which two are found, and one false one. scenes: one false alarm.
    mtfl: three faces, one exact, one with its points 1 px off, one that is not found. utkface, fer2013, celeba
    and mebeauty: four pictures, a face in every other one. landmarks68: two faces, both found.
    """
    cell = tiny.CELL
    boxes = [(32, 32, 32 + cell, 32 + cell), (96, 64, 96 + cell, 64 + cell), (160, 96, 160 + cell, 96 + cell)]
    labels = ["mask", "no_mask", "mask_wrong"]
    text = ";".join(f"{' '.join(map(str, box))} {kind}" for box, kind in zip(boxes, labels, strict=True))
    crowd = coloured(256, 128, 1, (32, 32), (96, 64), (224, 16))
    write_set(folder, "crowds", [(crowd, {"boxes": text})])
    scenes: list[Entry] = [(coloured(64, 64, 2), {}), (coloured(64, 64, 3, (16, 32)), {})]
    write_set(folder, "scenes", scenes, split="train")
    for name, labelled in LABELS.items():
        faces = [coloured(96, 96, seed, *([(32, 48)] if seed % 2 else [])) for seed in range(4)]
        entries = [(face, labelled if place < 2 else OTHERS[name]) for place, face in enumerate(faces)]
        write_set(folder, name, entries)
    write_set(folder, "mtfl", _mtfl())
    marks = points_of_cell(48, 48)[np.arange(68) % 5] + np.arange(68)[:, None] / 34
    write_set(folder, "landmarks68", [(coloured(96, 96, 9, (48, 48)), labelled_landmarks(marks))] * 2)
    return folder


def _mtfl() -> list[Entry]:
    exact, there = points_of_cell(48, 48), (48, 48)
    rows = [
        (coloured(96, 96, 6, there), exact),
        (coloured(96, 96, 7, there, (0, 0)), exact + np.array([1.0, 0.0])),
    ]
    rows.append((coloured(96, 96, 8, (0, 0)), exact))
    labels = {"gender": "male", "smile": 1, "glasses": 0, "pose": 3}
    return [(picture, {**labelled_points(points), **labels}) for picture, points in rows]
