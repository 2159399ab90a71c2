"""Picture sets on disk: NAME.tar with the pictures, NAME.csv with one row a picture."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["PictureSet", "open_set", "set_names", "write_set"]

Row = dict[str, str]
Entry = tuple[npt.NDArray[np.uint8], Mapping[str, object]]
"""A picture (H, W, 3) BGR or (H, W) grey with its labels by column."""


@dataclass(frozen=True)
class PictureSet:
    """One set: its rows and the place of every picture in the tar, read without unpacking."""

    name: str
    tar: Path
    rows: tuple[Row, ...]
    places: dict[str, tuple[int, int]]

    def of(self, *splits: str) -> tuple[Row, ...]:
        """Return the rows of the given splits (train, val, test)."""
        return tuple(row for row in self.rows if row["split"] in splits)

    def picture(self, row: Row) -> npt.NDArray[np.uint8]:
        """Decode one picture to (H, W, 3) BGR."""
        offset, size = self.places[row["file"]]
        with self.tar.open("rb") as stream:
            stream.seek(offset)
            data = np.frombuffer(stream.read(size), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"{self.tar} holds {row['file']}, which OpenCV cannot decode")
        return np.asarray(picture, np.uint8)

    def pictures(self, rows: tuple[Row, ...]) -> Iterator[tuple[Row, npt.NDArray[np.uint8]]]:
        """Yield rows with their pictures."""
        for row in rows:
            yield row, self.picture(row)


def set_names(data: Path) -> list[str]:
    """Return the names of the sets in a folder, sorted."""
    return sorted(path.stem for path in data.glob("*.csv") if path.with_suffix(".tar").exists())


def open_set(data: Path, name: str) -> PictureSet:
    """Open the set `name` in the folder `data`; raises FileNotFoundError with what is there."""
    table, tar = data / f"{name}.csv", data / f"{name}.tar"
    if not (table.exists() and tar.exists()):
        raise FileNotFoundError(f"{data} has no set {name!r}; it has: {', '.join(set_names(data)) or 'none'}")
    with table.open(newline="") as stream:
        rows = tuple(csv.DictReader(stream))
    with tarfile.open(tar, "r:") as archive:
        places = {Path(member.name).name: (member.offset_data, member.size) for member in archive}
    return PictureSet(name, tar, rows, places)


def write_set(
    folder: Path, name: str, entries: Sequence[Entry], split: str = "test", suffix: str = ".webp"
) -> None:
    """Write one set into a folder that is there; an entry's labels may name another `split`.

    suffix: how pictures are encoded; ".png" loses nothing. Equal entries give equal files.
    """
    rows: list[dict[str, object]] = []
    with tarfile.open(folder / f"{name}.tar", "w") as archive:
        for index, (picture, labels) in enumerate(entries):
            data = cv2.imencode(suffix, picture, _SETTINGS.get(suffix, []))[1].tobytes()
            member = tarfile.TarInfo(f"{index:05d}{suffix}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            height, width = picture.shape[:2]
            rows.append({"file": member.name, "split": split, "width": width, "height": height, **labels})
    with (folder / f"{name}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


_SETTINGS = {".webp": [cv2.IMWRITE_WEBP_QUALITY, 90]}
"""Settings of the encoder by suffix; without loss WebP would take ten times as long."""
