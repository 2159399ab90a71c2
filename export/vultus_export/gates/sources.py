"""The pictures that a gate judges on: labelled sets, or a plain folder."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vultus.errors import InputError, SourceError
from vultus_export.inputs import picture_files, read_picture
from vultus_export.metrics.rows import SPLITS, drawn, is_drawn, rows_of
from vultus_models.data.sets import PictureSet, open_set, set_names

__all__ = ["PLAIN", "Source", "sources_in"]

Row = dict[str, str]
Pixels = npt.NDArray[np.uint8]

PLAIN = ("file", "split", "width", "height")
"""Columns that every set has and that are no labels."""

FOLDER = "pictures"


@dataclass(frozen=True)
class Source:
    """Pictures of one origin: the rows to judge on, what reads a row's picture, and which rows these are."""

    name: str
    rows: tuple[Row, ...]
    picture: Callable[[Row], Pixels]
    chosen: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The label columns."""
        return tuple(name for name in self.rows[0] if name not in PLAIN)


def sources_in(data: Path, split: str = "val", most: int | None = None) -> list[Source]:
    """Return what a folder holds: its labelled sets (NAME.tar with NAME.csv), else its pictures.

    split: the rows to take; for val a set without such rows lends a fixed part of train, for test such a set is left
    out. most: at most so many pictures of a set, always the same. Raises InputError or SourceError when there is
    nothing to judge on.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")
    if not data.is_dir():
        raise SourceError(f"there is no folder {data}; name one with labelled sets or pictures")
    names = set_names(data)
    if not names:
        return [_folder(data, most)]
    sets = [_opened(data, name) for name in names]
    found = [_source(pictures, split, most) for pictures in sets if rows_of(pictures, split)]
    if not found:
        raise InputError(f"{data} has the sets {', '.join(names)}, and none has rows of split {split}")
    return found


def _folder(data: Path, most: int | None) -> Source:
    try:
        files = picture_files([data])
    except SourceError as error:
        raise SourceError(
            f"{data} holds neither labelled sets (NAME.tar with NAME.csv) nor pictures"
        ) from error
    rows = tuple({"file": file.relative_to(data).as_posix()} for file in files)
    kept = rows if most is None else drawn(rows, most)
    return Source(FOLDER, kept, lambda row: read_picture(data / row["file"]), "all pictures")


def _opened(data: Path, name: str) -> PictureSet:
    try:
        pictures = open_set(data, name)
    except (OSError, tarfile.TarError, UnicodeDecodeError) as error:
        raise SourceError(f"set {name!r} of {data} cannot be read: {error}") from error
    columns = pictures.rows[0] if pictures.rows else {}
    missing = [column for column in PLAIN if column not in columns]
    if missing:
        raise InputError(
            f"{data / name}.csv has no column {', '.join(missing)}; a set has {', '.join(PLAIN)} and its labels"
        )
    lost = next((row["file"] for row in pictures.rows if row["file"] not in pictures.places), None)
    if lost:
        raise InputError(f"{pictures.tar} has no picture {lost!r}, which {name}.csv names")
    return pictures


def _source(pictures: PictureSet, split: str, most: int | None) -> Source:
    rows = rows_of(pictures, split)
    kept = rows if most is None else drawn(rows, most)
    chosen = "a fixed part of train" if is_drawn(pictures, split) else split
    return Source(pictures.name, kept, _reader(pictures), chosen)


def _reader(pictures: PictureSet) -> Callable[[Row], Pixels]:
    def read(row: Row) -> Pixels:
        try:
            return pictures.picture(row)
        except (OSError, ValueError) as error:
            raise SourceError(str(error)) from error

    return read
