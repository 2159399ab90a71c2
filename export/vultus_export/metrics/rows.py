"""Which rows of a labelled set are measured."""

from __future__ import annotations

import hashlib

from vultus_models.data.sets import PictureSet

__all__ = ["LEAST", "SHARE", "SPLITS", "drawn", "is_drawn", "rows_of"]

Row = dict[str, str]

SPLITS = ("val", "test", "train")
SHARE = 10
LEAST = 200
"""A set without rows of split val lends a tenth of its training rows, but this many at least."""

WHOLE = ("scenes",)
"""Sets that have no labels to learn, so that all rows may be measured."""


def rows_of(pictures: PictureSet, split: str = "test") -> tuple[Row, ...]:
    """Return the rows of a split; `scenes` is used whole for test; see `is_drawn` for a set without val."""
    if split == "test" and pictures.name in WHOLE:
        return pictures.rows
    if is_drawn(pictures, split):
        train = pictures.of("train")
        return drawn(train, max(len(train) // SHARE, LEAST))
    return pictures.of(split)


def is_drawn(pictures: PictureSet, split: str) -> bool:
    """Return whether the rows come out of split train, because val was asked for and the set has none."""
    return split == "val" and not pictures.of("val")


def drawn(rows: tuple[Row, ...], count: int) -> tuple[Row, ...]:
    """Return at most `count` rows, always the same ones: those whose file names hash lowest, in their order."""
    if len(rows) <= count:
        return rows
    ranked = sorted(rows, key=lambda row: hashlib.sha256(row["file"].encode()).digest())
    kept = {row["file"] for row in ranked[:count]}
    return tuple(row for row in rows if row["file"] in kept)
