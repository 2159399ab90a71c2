"""Bootstrap intervals (Efron 1979): how far a figure would move on another draw of as many pictures."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["DRAWS", "SEED", "Index", "interval", "paired_error"]

SEED = 2018
DRAWS = 1000

Index = npt.NDArray[np.intp]


def interval(
    metric: Callable[[Index], float], size: int, name: str = "", draws: int = DRAWS
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of `metric` over resampled index arrays (size,).

    The seed is fixed and mixed with `name`, so that figures do not depend on which others were measured.
    Draws on which the metric is undefined (NaN) are left out; None when fewer than half are defined.
    """
    if size < 2:
        return None
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    values = np.array([metric(rng.integers(size, size=size)) for _ in range(draws)], np.float64)
    values = values[~np.isnan(values)]
    if len(values) * 2 < draws:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def paired_error(
    one: Callable[[Index], float],
    other: Callable[[Index], float],
    size: int,
    name: str = "",
    draws: int = DRAWS,
) -> float | None:
    """Return the standard error of `other` - `one` when both are measured on the same draws of the same faces.

    Seeds and undefined draws are treated as `interval` treats them; None when there are too few.
    """
    if size < 2:
        return None
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    picked = (rng.integers(size, size=size) for _ in range(draws))
    values = np.array([other(at) - one(at) for at in picked], np.float64)
    values = values[~np.isnan(values)]
    return None if len(values) * 2 < draws else float(values.std(ddof=1))
