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


def fit_edges(yaw: npt.ArrayLike, classes: npt.ArrayLike) -> tuple[float, ...]:
    """Return the edges that part labelled faces with the fewest errors; for training rows only.

    Each edge is fitted alone, on "this class or below" against "above", and lies midway between two faces;
    they are sorted at the end, so that they stay usable where classes overlap entirely.
    """
    order = np.argsort(np.asarray(yaw, np.float64), kind="stable")
    values, label = np.asarray(yaw, np.float64)[order], np.asarray(classes)[order]
    middles = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    edges = []
    for lower in range(1, 5):
        above = label > lower
        errors = np.concatenate([[0], np.cumsum(above)]) + (~above).sum()
        errors -= np.concatenate([[0], np.cumsum(~above)])
        errors[1:-1][values[1:] == values[:-1]] = len(values) + 1  # equal yaws cannot be parted
        fewest = np.flatnonzero(errors == errors.min())
        edges.append(float(middles[fewest[len(fewest) // 2]]))
    return tuple(sorted(edges))
