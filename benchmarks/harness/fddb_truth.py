"""The true faces of FDDB, from the files that its owners publish: an ellipse a face, in ten folds.

`FDDB-fold-01-ellipseList.txt` to `-10-` hold the faces; `FDDB-fold-01.txt` to `-10` list the pictures once more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.fddb_blocks import Form, read_blocks

__all__ = ["FOLDS", "Truth", "folds_of", "read_truth"]

FOLDS = 10
"""Folds of the whole set, over which official figures are."""

FORM = Form(
    ("major_axis_radius", "minor_axis_radius", "angle", "center_x", "center_y", "1"),
    lengths=(0, 1),
    zero=False,
)
FILE = re.compile(r"FDDB-fold-(\d+)-ellipseList\.txt")


@dataclass(frozen=True)
class Truth:
    """One picture: its fold as the file names it ("01"), its name without suffix, and its faces.

    ellipses: (m, 5) as the two radii, the angle between the first one's axis and the x axis in radians, y being
    down, and x and y of the centre; lengths in pixels from the picture's upper left corner.
    """

    fold: str
    name: str
    ellipses: npt.NDArray[np.float64]


def read_truth(folder: Path) -> list[Truth]:
    """Return the pictures of all folds in the files' order.

    Raises FileNotFoundError when there are no faces, ValueError when files are malformed or contradict each other.
    """
    pictures: dict[str, Truth] = {}
    for fold, file in sorted(_files(folder).items()):
        read = [Truth(fold, block.name, block.rows[:, :5]) for block in read_blocks(file, FORM)]
        _compare(file, [one.name for one in read])
        for one in read:
            if one.name in pictures:
                raise ValueError(
                    f"{file} holds {one.name}, which fold {pictures[one.name].fold} holds as well"
                )
            pictures[one.name] = one
    if not pictures:
        raise FileNotFoundError(
            f"{folder} holds no picture in any FDDB-fold-XX-ellipseList.txt; get them from FDDB's page"
        )
    return list(pictures.values())


def folds_of(pictures: Sequence[Truth]) -> dict[str, list[int]]:
    """Return for each fold the places of its pictures."""
    folds: dict[str, list[int]] = {}
    for place, one in enumerate(pictures):
        folds.setdefault(one.fold, []).append(place)
    return folds


def _files(folder: Path) -> dict[str, Path]:
    """Return the file of each fold; the folder is searched whole."""
    files: dict[str, Path] = {}
    for file in sorted(folder.rglob("FDDB-fold-*-ellipseList.txt")):
        match = FILE.fullmatch(file.name)
        if match and match[1] in files:
            raise ValueError(f"{files[match[1]]} and {file} are both of fold {match[1]}; leave one")
        if match:
            files[match[1]] = file
    return files


def _compare(file: Path, names: Sequence[str]) -> None:
    """Raise ValueError when the list of pictures beside a file names others."""
    listed = file.with_name(file.name.replace("-ellipseList", ""))
    if not listed.is_file():
        return
    said = set(listed.read_text(encoding="utf-8").split())
    for name in sorted(said.symmetric_difference(names)):
        has, lacks = (listed, file) if name in said else (file, listed)
        raise ValueError(f"{has} names {name}, {lacks} does not")
