"""Head yaw in five classes, as the MTFL labels have them: 1 left profile ... 5 right profile.

"Left" is the picture's: in class 1 the nose points to the left edge of the picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["YAW_EDGES", "fit_edges", "yaw_classes"]

YAW_EDGES = (-45.0, -15.0, 15.0, 45.0)
"""Degrees of yaw that part the classes; positive yaw turns the nose to the right edge of the picture."""


def yaw_classes(yaw: npt.ArrayLike, edges: npt.ArrayLike = YAW_EDGES) -> npt.NDArray[np.intp]:
    """Return the class 1 ... 5 of each yaw in degrees; a yaw on an edge belongs to the class above."""
    return np.searchsorted(np.asarray(edges, np.float64), np.asarray(yaw, np.float64), side="right") + 1


def fit_edges(yaw: npt.ArrayLike, classes: npt.ArrayLike, balanced: bool = False) -> tuple[float, ...]:
    """Return the four edges with which the most labelled faces get their class; for training rows only.

    The best cuts of the sorted yaws are found by dynamic programming; an edge lies midway between two faces.
    balanced: let every class weigh the same, however many faces it has.
    """
    order = np.argsort(np.asarray(yaw, np.float64), kind="stable")
    values, label = np.asarray(yaw, np.float64)[order], np.asarray(classes)[order]
    usable = np.concatenate([[True], np.diff(values) > 0, [True]])  # equal yaws cannot be parted
    right = np.zeros(len(values) + 1)
    cuts = []
    for own in range(1, 6):
        members = np.concatenate([[0], np.cumsum(label == own)])
        members = members / max(members[-1], 1) if balanced else members
        start = np.where(usable, right - members, -np.inf) if own > 1 else np.zeros(len(right))
        best = np.maximum.accumulate(start)
        cuts.append(np.maximum.accumulate(np.where(start == best, np.arange(len(best)), 0)))
        right = members + best
    middles = np.concatenate([values[:1] - 1, (values[1:] + values[:-1]) / 2, values[-1:] + 1])
    at, edges = len(values), []
    for before in reversed(cuts[1:]):
        at = int(before[at])
        edges.append(float(middles[at]))
    return tuple(edges[::-1])
