"""Error against discard (Grother and Tabassi 2007): what a figure gains when the faces of lowest quality are left out.

A quality that says nothing leaves the figure as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.entries import Metric, summary
from vultus_export.metrics.faces import Measured
from vultus_export.metrics.fields import FIELDS
from vultus_export.metrics.intervals import Index

__all__ = ["KEPT", "discarding"]

KEPT = 0.8
"""Share of the faces that is kept, those of highest quality."""


def discarding(field: str) -> Callable[[Measured, str], dict[str, Any]]:
    """Return what measures the first metric of a field over all faces and, as METRIC_best80, over those kept."""

    def measure(faces: Measured, path: str) -> dict[str, Any]:
        known = ~np.isnan(faces.faces[field].reshape(len(faces.faces), -1)).any(axis=1)
        told = faces.where(known)
        if not len(told.rows):
            raise ValueError(f"the models do not measure {field}")
        name, metric = next(iter(FIELDS[field].metrics(told).items()))
        kept = _of_best(metric, told.faces["quality"])
        return summary(path, len(told.rows), {name: metric, f"{name}_best80": kept})

    return measure


def _of_best(metric: Metric, quality: Any) -> Metric:
    def of(at: Index) -> float:
        order = np.argsort(-quality[at], kind="stable")
        return metric(at[order[: max(1, round(KEPT * len(at)))]])

    return of
