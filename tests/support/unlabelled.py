"""Batches of the face system in which no label is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vultus_models.face.labels import LABELS

__all__ = ["unlabelled"]


def unlabelled(count: int = 16) -> dict[str, Tensor]:
    """A batch of crops none of whose labels is known."""
    rng = np.random.default_rng(1)
    batch: dict[str, Tensor] = {
        "image": torch.from_numpy(rng.integers(0, 256, (count, 112, 112, 3), np.uint8))
    }
    for name in LABELS.names or ():
        whole = LABELS[name] == np.int8
        batch[name] = torch.full((count, *LABELS[name].shape), -1 if whole else torch.nan)
    for name, shape in {"landmarks": (68, 2), "five": (5, 2), "pose": (3,)}.items():
        batch[name] = torch.full((count, *shape), torch.nan)
    return batch
