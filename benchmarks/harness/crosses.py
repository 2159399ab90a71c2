"""Figures of crossed groups: gender by age band by ethnicity, with margins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.entries import LEAST, Metric, group_entry
from vultus.types import ETHNICITIES
from vultus_export.metrics.faces import Measured
from vultus_export.metrics.fields import gender_names
from vultus_export.metrics.intervals import Index

__all__ = ["ALL", "BANDS", "CROSS", "age_bands", "crossed", "people_cross"]

ALL = "all"
CROSS = "by_gender_age_ethnicity"
AGES = (0, 10, 30, 50, 1000)
BANDS = tuple(f"{low}-{high - 1}" if high < AGES[-1] else f"{low}+" for low, high in pairwise(AGES))

Names = npt.NDArray[np.str_]
Axis = tuple[Names, Sequence[str]]
"""The group of every face, and the groups to show."""


def people_cross(path: str, faces: Measured, name: str, metric: Metric) -> dict[str, Any]:
    """Return a figure by gender, age band and ethnicity, each with "all" as its last; {} where a label is missing."""
    if not {"age", "ethnicity"} <= set(faces.rows[0]) or not {"gender", "male"} & set(faces.rows[0]):
        return {}
    origins = faces.column("ethnicity")
    origins = np.where(origins == "others", "other", origins)
    known = {label: place for place, label in enumerate(ETHNICITIES)}
    axes = {
        "gender": (gender_names(faces), ("female", "male")),
        "age": (age_bands(faces.numbers("age")), BANDS),
        "ethnicity": (
            origins,
            sorted(set(origins.tolist()), key=lambda one: (known.get(one, len(known)), one)),
        ),
    }
    return {CROSS: crossed(f"{path}.{CROSS}", axes, name, metric)}


def age_bands(ages: npt.ArrayLike) -> Names:
    """Return the band of each age in years."""
    return np.array(BANDS)[np.searchsorted(AGES[1:-1], np.asarray(ages, np.float64), side="right")]


def crossed(
    path: str, axes: Mapping[str, Axis], name: str, metric: Metric, pictures: Index | None = None
) -> dict[str, Any]:
    """Return {"axes": names, "least": LEAST, "cells": a cell under each group's names, nested in the axes' order}.

    To the groups of each axis "all" is added. A cell of
    fewer than LEAST faces is their count `n` alone. pictures: as `group_entry` has it.
    """
    every = np.arange(len(next(iter(axes.values()))[0]))

    def cells(where: str, left: Sequence[Axis], at: Index) -> dict[str, Any]:
        if not left:
            few = len(at) < LEAST
            return {"n": len(at)} if few else group_entry(where, at, name, metric, pictures)
        (groups, shown), *others = left
        within = {group: at[groups[at] == group] for group in shown} | {ALL: at}
        return {group: cells(f"{where}.{group}", others, part) for group, part in within.items()}

    return {"axes": list(axes), "least": LEAST, "cells": cells(path, list(axes.values()), every)}
