"""The face system: how `vultus_models.train` gets the network, its data and its losses from a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vultus_models.face.augment import Jitter
from vultus_models.face.build import build_missing
from vultus_models.face.cache import Crops
from vultus_models.face.data import Sampler
from vultus_models.face.evaluation import measure, prepared, score_of
from vultus_models.face.group_age import GroupAge
from vultus_models.face.heads import age_code, spec
from vultus_models.face.losses import losses
from vultus_models.face.network import FaceNet, fold, network
from vultus_models.face.surroundings import backgrounds
from vultus_models.training.loop import Schedule

__all__ = ["FaceTask", "build", "fold", "network", "spec"]


class FaceTask:
    """Joint training over sets that each have some of the labels."""

    def __init__(
        self, sets: Sequence[Crops], sampler: Sampler, code: GroupAge, weights: dict[str, float]
    ) -> None:
        self._sets, self._sampler = sets, sampler
        self._code, self._weights = code, weights

    def batch(self, rng: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Draw one augmented batch."""
        return self._sampler.batch(rng, size)

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the weighted sum of the heads' losses and each of them unweighted."""
        if not isinstance(model, FaceNet):
            raise TypeError(f"the face task trains a FaceNet, not a {type(model).__name__}")
        out = model.raw(prepared(batch["image"]))
        found = losses(out, batch, self._code)
        total = torch.stack([self._weights.get(name, 1.0) * value for name, value in found.items()]).sum()
        return total, {name: float(value.detach()) for name, value in found.items()}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Return the validation figures and their score."""
        figures = measure(model, self._sets, self._code)
        return {"score": score_of(figures), **figures}


def build(config: dict[str, Any], data: Path, seed: int) -> tuple[FaceNet, FaceTask, Schedule]:
    """Return the network, the task and the schedule of a recipe; builds the crop cache when it is missing."""
    table = config["data"]
    weights = Path(table.get("weights", data.parent / "weights"))
    sets = build_missing(data, Path(table["cache"]), list(table["shares"]), weights)
    schedule = Schedule(**config["schedule"])
    cv2.setNumThreads(schedule.threads)
    torch.manual_seed(seed)
    sampler = Sampler(
        sets, list(table["shares"].values()), backgrounds(data), Jitter(**config.get("jitter", {}))
    )
    task = FaceTask(sets, sampler, age_code(config), config.get("weights", {}))
    return network(config), task, schedule
