"""From found and true faces of WIDER FACE to the entries of a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.detector_runs import DRAWS
from harness.entries import rounded
from harness.found_faces import Found
from harness.widerface_protocol import Curve, average_precision, counts_of, normalised
from harness.widerface_truth import Truth
from vultus_export.metrics.intervals import Index, interval

__all__ = ["difficulty_figures", "figures_of"]


def figures_of(pictures: Sequence[Truth], found: Sequence[Found]) -> dict[str, Any]:
    """Return the entry of each difficulty; `found` holds one item a picture, scores as the detector gave them."""
    scores = normalised([one[1] for one in found])
    boxes = [one[0] for one in found]
    names = list(pictures[0].kept) if pictures else []
    return {name: difficulty_figures(name, pictures, boxes, scores) for name in names}


def difficulty_figures(
    name: str, pictures: Sequence[Truth], boxes: Sequence[Any], scores: Sequence[Any]
) -> dict[str, Any]:
    """Return `ap` with its 95 % bootstrap interval over pictures, the faces, and recall where the curve ends."""
    rows = zip(pictures, boxes, scores, strict=True)
    counts = np.array(
        [counts_of(found, sure, one.boxes, one.kept[name]) for one, found, sure in rows], np.int32
    ).reshape(len(pictures), 2, -1)
    faces = np.array([one.kept[name].sum() for one in pictures], np.int64)

    def curve(at: Index) -> Curve:
        # Weights instead of a copy of the drawn rows: a thousand numbers a picture are many.
        weights = np.bincount(at, minlength=len(pictures)).astype(np.float64)
        found, hits = np.rint(np.tensordot(weights, counts, axes=1)).astype(np.int64)
        return Curve(found, hits, int(faces[at].sum()))

    whole = curve(np.arange(len(pictures)))
    sides = interval(lambda at: average_precision(curve(at)), len(pictures), f"widerface.{name}", draws=DRAWS)
    return {
        "ap": rounded(average_precision(whole)),
        "n": whole.faces,
        "pictures": len(pictures),
        "recall": rounded(float(whole.recall[-1])),
        "ci95": {"ap": [round(side, 5) for side in sides] if sides else None},
    }
