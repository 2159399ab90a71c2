"""What a lowered model may lose: one table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vultus.errors import ModelError
from vultus_export.quantize.loss import UNITS

__all__ = ["GROUP_FACTOR", "LIMITS", "MINIMUM", "Limit", "limit_for"]

MINIMUM = 30
"""A group with fewer faces is reported and does not count."""

GROUP_FACTOR = 2.0
"""No group may get worse by more than this many times the change of the whole set."""

UNITS_ALLOWED = {"fp16": 0.2, "int8": 2.0}
"""Units of loss (see `quantize.loss`) by which a part of the record may stray from the master. A model's own error is
about ten units, and what strays adds to it as squares do, so two units cost about the 2 % that an error may grow by."""


@dataclass(frozen=True)
class Limit:
    """How much worse one kind of measure may get at a precision.

    relative: the change is a share of the master's value, else it is in `unit`. higher: larger values are better.
    distance: it is a mean distance from the master, which is never 0, so chance can only carry it across its limit.
    """

    what: str
    unit: str
    fp16: float
    int8: float
    relative: bool = False
    higher: bool = False
    distance: bool = False

    def shown(self, value: float | None, sign: str = "") -> str:
        """Return a change as people read it: in percent where it is a share, else with its unit; None is infinite."""
        if value is None or math.isinf(value):
            return "beyond measure"
        share = self.relative or (self.unit.startswith("of ") and self.unit != "of 100")
        return f"{100 * value:{sign}.3g} %" if share else f"{value:{sign}.3g} {self.unit}".rstrip()


def _unit(what: str, unit: str, name: str) -> Limit:
    """Return the limit of a deviation from the master."""
    return Limit(
        what, unit, UNITS_ALLOWED["fp16"] * UNITS[name], UNITS_ALLOWED["int8"] * UNITS[name], distance=True
    )


LIMITS: dict[str, Limit] = {
    # Against labels.
    "score": Limit("AP, recall, accuracy, AUC, correlation", "of its value", 0.001, 0.01, True, True),
    "error": Limit("NME, MAE, false alarms", "of its value", 0.001, 0.02, True),
    # Against the master.
    "lost": Limit("boxes or fields that only one of the two has", "of faces", 0.001, 0.01),
    "flips": Limit("other class, or other side of the threshold", "of faces", 0.003, 0.03),
    "box": _unit("1 - IoU with the master's box", "of the union", "box"),
    "points": _unit("distance of the five points", "of the box's side", "points"),
    "landmarks": _unit("distance of the 68 landmarks", "of the outer eye distance", "landmarks"),
    "pose": _unit("change of yaw, pitch and roll", "degrees", "pose"),
    "age": _unit("change of age", "years", "age"),
    "percent": _unit("change of smile and attractiveness", "of 100", "smile"),
    "probability": _unit("change of a probability", "", "quality"),
}
"""Kind of measure -> its limits. A class flips both ways, so three times as many may flip as accuracy may lose."""

COLUMNS = {"fp32": "fp16", "fp16": "fp16", "int8": "int8", "int8-fp16": "int8"}
"""Precision -> the column that holds for it; an FP32 copy has to keep what FP16 keeps."""


def limit_for(kind: str, precision: str) -> float:
    """Return the limit of a kind of measure; raises ModelError for a precision that the table does not know."""
    if precision not in COLUMNS:
        raise ModelError(f"there are no limits for precision {precision!r}; known: {', '.join(COLUMNS)}")
    found = LIMITS[kind]
    return found.fp16 if COLUMNS[precision] == "fp16" else found.int8
