"""Halved pictures by plain arithmetic, for what cuts crops from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.preprocess import MAX_HALVINGS

__all__ = ["halved", "halvings_at"]

Array = npt.NDArray[Any]


def halvings_at(scale: float) -> int:
    """Return how often a picture is halved for a crop of this scale."""
    return sum(scale < 0.5**times for times in range(1, MAX_HALVINGS + 1))


def halved(picture: Array, times: int) -> Array:
    """Return a picture (h, w, 3) of which 2 x 2 pixels became their mean, halves rounded up, so often; int64.

    The last pixel of an odd side counts twice.
    """
    levels = picture.astype(np.int64)
    for _ in range(times):
        height, width = levels.shape[:2]
        whole = np.pad(levels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        levels = (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2] + 2) // 4
    return levels
