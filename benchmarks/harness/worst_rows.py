"""Which rows the worst errors are looked for in: for val those that no training learned from."""

from __future__ import annotations

from vultus_export.metrics.faces import Row
from vultus_export.metrics.rows import rows_of
from vultus_models.data.sets import PictureSet
from vultus_models.face.labels import HELD_OUT, held_out

__all__ = ["unseen_rows"]


def unseen_rows(pictures: PictureSet, split: str) -> tuple[Row, ...]:
    """Return the rows of a split; of a set without rows of val those train rows that training keeps back.

    Raises ValueError when there are none.
    """
    rows = pictures.of("val") if split == "val" else rows_of(pictures, split)
    if split == "val" and not rows:
        rows = _kept_back(pictures)
    if not rows:
        raise ValueError(f"set {pictures.name} has no rows of split {split}; choose another with --split")
    return rows


def _kept_back(pictures: PictureSet) -> tuple[Row, ...]:
    name, train = pictures.name, pictures.of("train")
    if name == "scenes":
        return train[1::4]
    if name == "crowds":
        from vultus_models.detector.system import held_back  # brings torch along

        return tuple(row for row in train if held_back(name, row["file"]))
    return tuple(row for row in train if held_out(name, row)) if name in HELD_OUT else ()
