"""Groups of people, as the labels of sets name them: gender x age band x ethnicity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from vultus_export.metrics.intervals import Index

__all__ = ["AGE_BANDS", "groups_of"]

Row = Mapping[str, str]

AGE_BANDS = ((0, "0-9"), (10, "10-19"), (20, "20-39"), (40, "40-59"), (60, "60+"))
"""Lowest age of each band and its name."""


def groups_of(rows: Sequence[Row]) -> dict[str, Index]:
    """Return the places of each group among rows: each label alone, and all labels of a row together.

    A row without a label is in no group of it. Names: "female", "aged 60+", "female, aged 60+, black".
    """
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        for name in _names(row):
            places.setdefault(name, []).append(place)
    return {name: np.array(places[name], np.intp) for name in sorted(places)}


def _names(row: Row) -> list[str]:
    labels = [label for label in (_gender(row), _band(row), row.get("ethnicity", "")) if label]
    return [", ".join(some) for count in range(1, len(labels) + 1) for some in combinations(labels, count)]


def _gender(row: Row) -> str:
    if "gender" in row:
        return row["gender"]
    return {"1": "male", "0": "female"}.get(row.get("male", ""), "")


def _band(row: Row) -> str:
    try:
        age = float(row.get("age", ""))
    except ValueError:
        return ""
    return "aged " + next(name for lowest, name in reversed(AGE_BANDS) if age >= lowest or not lowest)
