"""Do two forms of one network give the same answers? One table of tolerances, one assertion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.errors import ModelError
from vultus.spec import ModelSpec
from vultus_export.runners import Array, Runner

__all__ = [
    "TOLERANCES",
    "Deviation",
    "ParityError",
    "assert_close",
    "check_parity",
    "deviation",
    "output_kinds",
    "tolerance",
]

Tolerance = tuple[float, float]

TOLERANCES: dict[tuple[str, str], Tolerance] = {
    ("fp32", "maps"): (1e-4, 1e-4),
    ("fp32", "softmax"): (1e-4, 1e-4),
    ("fp32", "sigmoid"): (1e-4, 1e-4),
    ("fp32", "group_age"): (1e-4, 1e-4),
    ("fp32", "landmarks"): (1e-4, 1e-5),
    ("fp32", "euler"): (1e-4, 1e-5),
    ("fp32", "percent"): (1e-4, 1e-4),
    ("fp16", "maps"): (2e-2, 5e-2),
    ("fp16", "softmax"): (2e-2, 2e-2),
    ("fp16", "sigmoid"): (2e-2, 2e-2),
    ("fp16", "group_age"): (2e-2, 2e-2),
    ("fp16", "landmarks"): (1e-2, 2e-3),
    ("fp16", "euler"): (1e-2, 5e-3),
    ("fp16", "percent"): (2e-2, 2e-2),
}
"""(precision, kind of output) -> (rtol, atol), as in numpy.isclose.
Kinds are those of `vultus.spec.Head`, and `maps` for a detector. Landmarks and angles take a smaller absolute error
than logits because they are shares of the crop's side and of 90 degrees."""


class ParityError(ModelError, AssertionError):
    """Two forms of one network that give different answers."""


@dataclass(frozen=True)
class Deviation:
    """How far an output strayed: the largest absolute error, what was allowed, and what would have passed.

    enough: the least (rtol, atol) that pass, each with the other one left as it was.
    """

    output: str
    kind: str
    error: float
    allowed: Tolerance
    enough: Tolerance

    @property
    def passed(self) -> bool:
        """Whether every element lies within the tolerance."""
        return self.enough[1] <= self.allowed[1]

    def __str__(self) -> str:
        """Return one line for a report."""
        rtol, atol = self.allowed
        return (
            f"{self.output} ({self.kind}): largest error {self.error:.3g}, allowed rtol {rtol:g}, "
            f"atol {atol:g}; would pass with atol {self.enough[1]:.3g}, or with rtol {self.enough[0]:.3g}"
        )


def tolerance(precision: str, kind: str) -> Tolerance:
    """Return (rtol, atol) for a kind of output at a precision; raises ModelError where there is no row."""
    if (precision, kind) not in TOLERANCES:
        raise ModelError(f"there is no tolerance for output kind {kind!r} at precision {precision!r}")
    return TOLERANCES[precision, kind]


def output_kinds(spec: ModelSpec) -> dict[str, str]:
    """Return the kind of each output that the spec names, as the table calls it."""
    levels = spec.detector.levels if spec.detector else ()
    return {**{level.output: "maps" for level in levels}, **{head.output: head.kind for head in spec.heads}}


def deviation(output: str, kind: str, wanted: Array, got: Array, allowed: Tolerance) -> Deviation:
    """Measure one output; a NaN, an infinity or another shape on one side alone is an infinite error."""
    if wanted.shape != got.shape:
        raise ParityError(f"{output}: shape {got.shape}, expected {wanted.shape}")
    a, b = np.asarray(wanted, np.float64), np.asarray(got, np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0.0, np.abs(a - b))
        error[~np.isfinite(error)] = np.inf
        size = np.where(np.isfinite(a), np.abs(a), 0.0)
    over = error - allowed[1]
    ratio = np.where(over <= 0, 0.0, np.divide(over, size, out=np.full_like(over, np.inf), where=size > 0))
    least = (float(ratio.max(initial=0.0)), float((error - allowed[0] * size).max(initial=0.0)))
    return Deviation(output, kind, float(error.max(initial=0.0)), allowed, least)


def assert_close(output: str, wanted: Array, got: Array, precision: str, kind: str) -> Deviation:
    """Raise ParityError unless `got` equals `wanted` within the table's tolerance; else say how close it is.

    The message names the largest error and the tolerances that would have passed.
    """
    found = deviation(output, kind, wanted, got, tolerance(precision, kind))
    if not found.passed:
        raise ParityError(str(found))
    return found


def check_parity(
    reference: Runner, candidate: Runner, spec: ModelSpec, inputs: Iterable[npt.NDArray[np.float32]]
) -> list[Deviation]:
    """Run both forms on every input and return the worst deviation of each output, in the spec's order.

    Raises ParityError that lists every output beyond its tolerance (the row of `spec.precision`).
    """
    kinds = output_kinds(spec)
    worst: dict[str, Deviation] = {}
    for images in inputs:
        wanted, got = reference(images), candidate(images)
        for found in _deviations(wanted, got, kinds, spec.precision):
            if found.output not in worst or _badness(found) > _badness(worst[found.output]):
                worst[found.output] = found
    failed = [str(found) for found in worst.values() if not found.passed]
    if failed:
        raise ParityError(
            f"model {spec.name!r} does not answer as its reference does:\n  " + "\n  ".join(failed)
        )
    return list(worst.values())


def _deviations(
    wanted: Mapping[str, Array], got: Mapping[str, Array], kinds: Mapping[str, str], precision: str
) -> list[Deviation]:
    pairs = ((name, kinds.get(name, "maps")) for name in got)
    return [
        deviation(name, kind, wanted[name], got[name], tolerance(precision, kind)) for name, kind in pairs
    ]


def _badness(found: Deviation) -> tuple[float, float]:
    return found.enough[1], found.error
