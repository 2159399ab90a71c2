"""How large a value gets: histograms gathered one picture at a time, and the limits that methods read from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vultus.errors import ModelError

__all__ = ["METHODS", "Magnitudes", "limit_of"]

BINS = 2048
LEVELS = 128
STEP = 16
LEAST_WIDTH = float(np.finfo(np.float32).tiny)

METHODS = ("minmax", "entropy", "percentile-99.9", "percentile-99.99", "percentile-99.999")
"""Ways to choose a limit; `percentile-P` leaves the largest 100 - P percent of the values to be clipped."""

Counts = npt.NDArray[np.int64]


class Magnitudes:
    """A histogram of absolute values whose bins double in width when a larger value comes."""

    def __init__(self) -> None:
        self.counts: Counts = np.zeros(BINS, np.int64)
        self.width = 0.0
        self.top = 0.0

    def add(self, name: str, values: npt.NDArray[np.float32]) -> None:
        """Count values; raises ModelError that names the value `name` when one is not finite."""
        sizes = np.abs(values).ravel()
        top = float(sizes.max(initial=0.0))
        if not np.isfinite(top):
            raise ModelError(f"value {name!r} is not finite on a calibration picture; mend the model first")
        self.top = max(self.top, top)
        if top == 0.0:
            self.counts[0] += sizes.size
            return
        self.width = self.width or max(top / BINS, LEAST_WIDTH)
        while top > self.width * BINS:
            self.counts[: BINS // 2] = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[BINS // 2 :] = 0
            self.width *= 2
        places = np.minimum((sizes / self.width).astype(np.int64), BINS - 1)
        self.counts += np.bincount(places, minlength=BINS)


def limit_of(found: Magnitudes, method: str) -> float:
    """Return the magnitude that is to become the largest integer, by one of METHODS."""
    if method not in METHODS:
        raise ModelError(f"calibration method {method!r} is unknown; expected one of {', '.join(METHODS)}")
    if method == "minmax" or found.top == 0.0:
        return found.top
    if method == "entropy":
        return min(found.top, _entropy_bins(found.counts) * found.width)
    share = float(method.removeprefix("percentile-")) / 100
    reached = np.cumsum(found.counts) >= share * found.counts.sum()
    return min(found.top, (int(np.argmax(reached)) + 1) * found.width)


def _entropy_bins(counts: Counts) -> int:
    """Return how many bins to keep so that 128 levels lose the least information (Migacz 2017, by KL divergence)."""
    last = int(np.flatnonzero(counts)[-1]) + 1
    tried = range(LEVELS, max(last, LEVELS) + 1, STEP)
    shape = counts[:last].copy()
    shape[0] = shape[1:2].sum()  # what ReLU set to zero is exact at any scale and would drown the rest
    if not shape.any():
        return last
    losses = [_divergence(shape, kept) for kept in tried]
    return tried[int(np.argmin(losses))]


def _divergence(counts: Counts, kept: int) -> float:
    inside = np.zeros(kept)
    inside[: min(kept, counts.size)] = counts[:kept]
    reference = inside.copy()
    reference[-1] += counts[kept:].sum()
    level = np.arange(kept) * LEVELS // kept
    filled = inside > 0
    sums, sizes = np.bincount(level, inside, LEVELS), np.bincount(level, filled, LEVELS)
    means = np.divide(sums, sizes, out=np.zeros(LEVELS), where=sizes > 0)
    p, q = reference / reference.sum(), np.where(filled, means[level], 0.0)
    q = np.maximum(q / max(q.sum(), 1e-12), 1e-12)
    where = p > 0
    return float((p[where] * np.log(p[where] / q[where])).sum())
