"""How far a candidate's records lie from those of its master on the same faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from vultus.types import FaceArray
from vultus_export.gates.judge import Comparison
from vultus_export.metrics.fields import EYES, ODDS
from vultus_export.metrics.intervals import Index

__all__ = ["field_agreement", "mean_of", "measured"]

Array = npt.NDArray[np.float64]

CLASSES = ("gender", "ethnicity", "expression")
SWITCHES = ("eyeglasses", "facial_hair")
KINDS = {"smile": "percent", "attractiveness": "percent", "quality": "probability"}
"""Kind of limit of a field, where it is not the field's own name."""


def mean_of(
    name: str, kind: str, values: npt.ArrayLike, groups: Mapping[str, Index], largest: bool = False
) -> Comparison:
    """Return the comparison of a mean deviation from the master, which is 0 for the master itself."""
    array = np.asarray(values, np.float64)
    top = float(array.max()) if largest and array.size else None
    return Comparison(name, kind, len(array), lambda at: 0.0, lambda at: float(array[at].mean()), groups, top)


def measured(faces: FaceArray, field: str) -> npt.NDArray[np.bool_]:
    """Return for which faces a field was measured."""
    return np.asarray(np.isfinite(faces[field].reshape(len(faces), -1)).all(axis=1))


def field_agreement(
    fields: Sequence[str], master: FaceArray, candidate: FaceArray, groups: Mapping[str, Index]
) -> list[Comparison]:
    """Return the deviations of each field: not measured any more, flips of classes, changes of numbers."""
    found: list[Comparison] = []
    for field in fields:
        known = measured(master, field)
        both = known & measured(candidate, field)
        if not known.any():
            continue
        lost = mean_of(f"{field}.lost", "lost", ~both[known], _within(groups, known))
        if not both[known].all():
            found.append(lost)
        found += _deviations(field, master[both], candidate[both], _within(groups, both))
    return found


def _within(groups: Mapping[str, Index], kept: npt.NDArray[np.bool_]) -> dict[str, Index]:
    """Return the groups as places among the kept faces alone."""
    place = np.cumsum(kept) - 1
    return {name: place[at[kept[at]]] for name, at in groups.items()}


def _deviations(
    field: str, master: FaceArray, candidate: FaceArray, groups: Mapping[str, Index]
) -> list[Comparison]:
    if not len(master):
        return []
    one, two = master[field].astype(np.float64), candidate[field].astype(np.float64)
    if field in CLASSES:
        return [mean_of(f"{field}.flips", "flips", one.argmax(1) != two.argmax(1), groups)]
    moved = _moved(field, one, two)
    found = [mean_of(f"{field}.change", _kind(field), moved, groups, largest=True)]
    if field in SWITCHES:
        sides = ((one >= ODDS) != (two >= ODDS)).reshape(len(one), -1).any(axis=1)
        found.insert(0, mean_of(f"{field}.flips", "flips", sides, groups))
    return found


def _moved(field: str, one: Array, two: Array) -> Array:
    """Return the deviation of each face in the field's own unit."""
    if field != "landmarks":
        return np.asarray(np.abs(one - two).reshape(len(one), -1).mean(axis=1))
    first, second = EYES["landmarks"]
    eyes = np.linalg.norm(one[:, first] - one[:, second], axis=-1)
    return np.asarray(np.linalg.norm(one - two, axis=-1).mean(axis=-1) / np.maximum(eyes, 1e-6))


def _kind(field: str) -> str:
    return "probability" if field in SWITCHES else KINDS.get(field, field)
