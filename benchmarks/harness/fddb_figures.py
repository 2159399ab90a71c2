"""From the steps of FDDB's pictures to the entries of a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from harness.detector_runs import DRAWS
from harness.entries import rounded
from harness.fddb_protocol import Curve, Steps, Summed
from vultus_export.metrics.intervals import Index, interval

__all__ = ["AT", "KINDS", "figures_of"]

KINDS = ("discrete", "continuous")
AT = (100, 500, 1000, 2000)
"""Numbers of false positives, over all pictures together, at which the curves are read."""


def figures_of(steps: Sequence[Steps], faces: Sequence[int]) -> dict[str, Any]:
    """Return the rates by name with their 95 % bootstrap intervals over pictures, and what they were counted on.

    steps and faces hold one item a picture. `false_positives` is where the curves end.
    """
    summed, count = Summed(steps), np.asarray(faces, np.int64)

    def curve(at: Index) -> Curve:
        weights = np.bincount(at, minlength=len(count)).astype(np.float64)
        return summed.curve(weights, int(count[at].sum()))

    whole = curve(np.arange(len(count)))
    return {
        **{name: rounded(rate) for name, rate in _rates(whole).items()},
        "n": whole.faces,
        "pictures": len(count),
        "false_positives": round(float(whole.false[-1])),
        "ci95": _limits(lambda at: _rates(curve(at)), len(count), list(_rates(whole))),
    }


def _rates(curve: Curve) -> dict[str, float]:
    return {f"{kind}_{false}": curve.rate_at(kind, false) for kind in KINDS for false in AT}


def _limits(
    rates: Callable[[Index], dict[str, float]], size: int, names: Sequence[str]
) -> dict[str, list[float] | None]:
    """Return each rate's interval; all are read off the same draws, since a curve is dear and a reading is not."""
    drawn: dict[bytes, dict[str, float]] = {}

    def rate(at: Index, name: str) -> float:
        key = at.tobytes()
        if key not in drawn:
            drawn[key] = rates(at)
        return drawn[key][name]

    sides = {name: interval(partial(rate, name=name), size, "fddb", draws=DRAWS) for name in names}
    return {name: [round(side, 5) for side in pair] if pair else None for name, pair in sides.items()}
