"""Growth of memory through a run, and how sure one can be of it.

Readings of resident memory that follow each other are alike, so a line fitted to all of them would be far too sure of
itself. They are averaged over blocks of equal length first (batch means, as for simulations: Law & Kelton), and the
interval is Student's over the blocks.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vultus.bench.record import Slope

__all__ = ["BLOCKS", "LEAST", "slope_of", "student"]

BLOCKS = 20
LEAST = 2 * BLOCKS
"""Readings that a slope takes."""

NORMAL = 1.959963984540054
"""0.975 quantile of the normal distribution."""

Ns = npt.NDArray[np.int64]


def slope_of(times: Ns, values: Ns, frames: int) -> Slope | None:
    """Return the slope of values in bytes over times in ns; frames: analysed in that time.

    None for fewer than LEAST readings or no time between them.
    """
    if len(times) < LEAST or times[-1] <= times[0]:
        return None
    usable = len(times) // BLOCKS * BLOCKS  # the first readings are left out, nearest the warm-up
    x, y = (column[-usable:].astype(np.float64).reshape(BLOCKS, -1).mean(1) for column in (times, values))
    x = (x - x.mean()) / 1e9
    spread = float((x**2).sum())
    slope = float((x * (y - y.mean())).sum()) / spread
    rest = y - y.mean() - slope * x
    half = student(BLOCKS - 2) * math.sqrt(float((rest**2).sum()) / (BLOCKS - 2) / spread)
    seconds = float(times[-1] - times[0]) / 1e9
    return Slope(slope, slope - half, slope + half, slope * seconds / max(frames, 1), len(times))


def student(freedom: int) -> float:
    """Return the 0.975 quantile of Student's t to four digits from 5 degrees on (Cornish and Fisher 1937)."""
    z = NORMAL
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms)))
