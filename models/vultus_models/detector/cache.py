"""Pictures decoded once into memory-mapped files, with their labels beside them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vultus_models.data.sets import PictureSet, Row, open_set
from vultus_models.detector.labels import Labels, labels_alone, labels_of
from vultus_models.teachers.fuse import Finder, fused, looks
from vultus_models.teachers.retinaface import candidates, load_retinaface

__all__ = ["LOOKS", "Pictures", "build_pictures", "open_pictures", "training_rows", "write_labels"]

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

LOOKS: dict[str, tuple[tuple[float, ...], int]] = {
    "crowds": ((1.0, 2.0), 0),
    "landmarks68": ((0.8, 1.5), 0),
    "mebeauty": ((0.5, 1.0), 16),
    "video68": ((0.75, 1.5), 8),
    "celeba": ((1.0,), 16),
    "mtfl": ((0.75, 1.5), 0),
    "utkface": ((0.7,), 40),
    "scenes": ((), 0),
}
"""How the teacher looks at each set: scales, and the border put round pictures that are cropped close."""

CHUNK = 16


@dataclass(frozen=True)
class Pictures:
    """The training pictures of one set. Face k of picture i is row starts[i] + k of the label arrays."""

    name: str
    files: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]  # (n, 3): offset, height, width
    starts: npt.NDArray[np.int64]  # (n + 1,)
    boxes: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    sure: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.files)

    def picture(self, index: int) -> Pixels:
        """Return picture `index`, (H, W, 3) BGR, as a view of the mapped file."""
        offset, height, width = self.places[index]
        flat = self.pixels[offset : offset + height * width * 3]
        return flat.reshape(height, width, 3)

    def labels(self, index: int) -> Labels:
        """Return the labels of picture `index`."""
        part = slice(self.starts[index], self.starts[index + 1])
        return Labels(
            self.boxes[part].astype(np.float64), self.points[part].astype(np.float64), self.sure[part]
        )


def training_rows(pictures: PictureSet) -> tuple[Row, ...]:
    """Return the rows that may be learned from: the train split, of scenes its even-numbered rows."""
    rows = pictures.of("train")
    return rows[::2] if pictures.name == "scenes" else rows


def open_pictures(data: Path, name: str, cache: Path, teacher: Path | None) -> Pictures:
    """Open the cache of one set, building it first when it is not there."""
    if not (cache / f"{name}.npz").exists():
        build_pictures(data, name, cache, teacher)
    with np.load(cache / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    files = tuple(str(file) for file in arrays.pop("files"))
    return Pictures(name, files, np.memmap(cache / f"{name}.u8", np.uint8, "r"), **arrays)


def build_pictures(data: Path, name: str, cache: Path, teacher: Path | None) -> None:
    """Decode one set, label it with the teacher and write NAME.u8 and NAME.npz into the cache folder.

    teacher: None labels by the set's own boxes or points alone.

    Raises ValueError when no picture can be learned from.
    """
    pictures = open_set(data, name)
    find: Finder | None = None
    if teacher and LOOKS[name][0]:
        find = partial(candidates, load_retinaface(teacher), min_score=0.1)
    cache.mkdir(parents=True, exist_ok=True)
    files: list[str] = []
    places: list[tuple[int, int, int]] = []
    every: list[Labels] = []
    with (cache / f"{name}.u8.part").open("wb") as stream:
        for row, pixels, labels in _labelled(pictures, find):
            if name != "scenes" and not labels.sure.any():
                continue
            files.append(row["file"])
            places.append((stream.tell(), *pixels.shape[:2]))
            every.append(labels)
            stream.write(pixels.tobytes())
    if not files:
        raise ValueError(
            f"the teacher {teacher} is sure of no face in set {name!r}; is it the right state dict?"
            if teacher
            else f"the set {name!r} has neither boxes nor points to learn from; name a `teacher` in [data]"
        )
    os.replace(cache / f"{name}.u8.part", cache / f"{name}.u8")
    write_labels(cache / f"{name}.npz", files, places, every)
    logger.info("%s: %d pictures, %d faces", name, len(files), sum(int(one.sure.sum()) for one in every))


def write_labels(
    path: Path, files: Sequence[str], places: Sequence[tuple[int, int, int]], every: Sequence[Labels]
) -> None:
    """Write the labels of pictures: places (offset, height, width) a picture, and their labels."""
    counts = [len(one.boxes) for one in every]
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        files=np.array(files),
        places=np.array(places, np.int64).reshape(-1, 3),
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=np.concatenate([one.boxes for one in every]).astype(np.float32),
        points=np.concatenate([one.points for one in every]).astype(np.float32),
        sure=np.concatenate([one.sure for one in every]),
    )
    os.replace(part, path)


def _labelled(pictures: PictureSet, find: Finder | None) -> Iterator[tuple[Row, Pixels, Labels]]:
    """Yield rows, pictures and labels; pictures of one size are shown to the teacher together."""
    rows = sorted(training_rows(pictures), key=_size)
    scales, pad = LOOKS[pictures.name]
    for _, group in groupby(rows, key=_size):
        same = list(group)
        for start in range(0, len(same), CHUNK):
            part = same[start : start + CHUNK]
            batch = np.stack([pictures.picture(row) for row in part])
            if find is None:
                yield from ((row, one, labels_alone(row)) for row, one in zip(part, batch, strict=True))
                continue
            seen = looks(find, batch, scales, pad)
            yield from (
                (row, one, labels_of(row, fused(views)))
                for row, one, views in zip(part, batch, seen, strict=True)
            )


def _size(row: Row) -> tuple[int, int]:
    return int(row["height"]), int(row["width"])
