"""A cached set of faces whose brightness is their rating."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vultus.geometry import template_points
from vultus_models.face.cache import CROP, FACES, MARGIN, SIDE

__all__ = ["save_rated_faces"]


def save_rated_faces(cache: Path, count: int, first_val: int) -> None:
    """Make the folder of a cache with `mebeauty` of plain, frontal faces, of which brighter ones are rated higher.

    first_val: the number of the first face that is kept for validation.
    """
    cache.mkdir()
    shares = np.random.default_rng(0).uniform(0.2, 0.9, count)
    faces = np.zeros(count, FACES)
    faces["val"][first_val:] = True
    faces["points"] = template_points(CROP) + MARGIN
    faces["five"] = faces["landmarks"] = np.nan
    for field in faces["labels"].dtype.names or ():
        faces["labels"][field] = -1 if faces["labels"][field].dtype == np.int8 else np.nan
    faces["labels"]["profile"], faces["labels"]["attractiveness"] = 0, shares
    pixels = np.broadcast_to((shares * 255).astype(np.uint8)[:, None, None, None], (count, SIDE, SIDE, 3))
    np.save(cache / "mebeauty.npy", pixels)
    np.save(cache / "mebeauty.faces.npy", faces)
    np.save(cache / "mebeauty.pose.npy", np.zeros((count, 3), np.float32))
