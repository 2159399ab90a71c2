"""How far stated probabilities are from what happens. NaN stands for a figure that the input does not define."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = [
    "BINS",
    "bin_gaps",
    "binary_top",
    "calibration_error",
    "overconfidence",
    "top_class",
    "within_spread",
]

Array = npt.NDArray[np.float64]
Right = npt.NDArray[np.bool_]

BINS = 15
"""Bins of equal width over 0-1, as in Guo et al. 2017."""


def bin_gaps(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = BINS) -> Array:
    """Return for each bin (bins,) the sum over its members of stated confidence minus being right.

    confidence: (n,) stated probability of being right, 0-1. right: (n,) whether it was. A confidence on an edge
    belongs to the bin below, 0 to the lowest. Gaps of disjoint parts add up.
    """
    stated, true = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    # An edge such as 3 / 15 may be a float above what the product says, hence the nudge.
    place = np.clip(np.ceil(stated * bins - 1e-9).astype(np.intp) - 1, 0, bins - 1)
    return np.asarray(np.bincount(place, weights=stated - true, minlength=bins), np.float64)


def calibration_error(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = BINS) -> float:
    """Return the expected calibration error (Guo et al. 2017, On Calibration of Modern Neural Networks).

    In each bin the mean confidence is set against the share that is right; the gaps are weighted by the bins'
    members. confidence, right: as `bin_gaps` has them.
    """
    size = np.asarray(confidence).size
    return float(np.abs(bin_gaps(confidence, right, bins)).sum() / size) if size else float("nan")


def overconfidence(confidence: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Return mean confidence minus the share that is right: above 0 where more is promised than kept."""
    size = np.asarray(confidence).size
    return float(bin_gaps(confidence, right).sum() / size) if size else float("nan")


def top_class(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Array, Right]:
    """Return the likeliest class's probability and whether it is the true one, of (n, k) and (n,) indices."""
    given = np.asarray(probabilities, np.float64)
    return given.max(axis=1, initial=0.0), np.asarray(given.argmax(axis=1) == np.asarray(truth))


def binary_top(probability: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Array, Right]:
    """Return the probability of the likelier answer, yes from .5 on, and whether it is true, of (n,) each."""
    yes = np.asarray(probability, np.float64)
    return np.maximum(yes, 1 - yes), np.asarray((yes >= 0.5) == np.asarray(truth, np.bool_))


def within_spread(
    guess: npt.ArrayLike, spread: npt.ArrayLike, truth: npt.ArrayLike, times: float
) -> tuple[float, float]:
    """Return the share of truths within `times` standard deviations, and the share a normal distribution promises."""
    gap = np.abs(np.asarray(guess, np.float64) - np.asarray(truth, np.float64))
    inside = gap <= times * np.asarray(spread, np.float64)
    promised = math.erf(times / math.sqrt(2))
    return (float(inside.mean()) if inside.size else float("nan")), promised
