"""The face system as a task for the training loop: batches, losses and validation of any of its networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vultus_models.face.ages import learnt_code
from vultus_models.face.balance import Balance
from vultus_models.face.cache import Crops
from vultus_models.face.crnet import rating_loss
from vultus_models.face.data import Sampler
from vultus_models.face.evaluation import measure, prepared, score_of
from vultus_models.face.heads import age_code
from vultus_models.face.losses import losses
from vultus_models.face.network import FaceNet, HeadedNet
from vultus_models.face.quality import Witness, solve_quality
from vultus_models.face.teach import Lessons

__all__ = ["FaceTask"]


class FaceTask:
    """Joint training over sets that each have some of the labels, as a recipe asks for it.

    Answers of other networks that come with a batch are learnt beside the labels.
    """

    def __init__(self, sets: Sequence[Crops], sampler: Sampler, config: dict[str, Any]) -> None:
        self._lessons = Lessons.of(config)
        self._sets, self._sampler = sets, sampler
        self._learnt, self._rate = learnt_code(config), rating_loss(config)
        self._code, self._weights = age_code(config), dict(config.get("weights", {}))
        self._hidden = float(config.get("landmarks", {}).get("hidden", 1.0))
        self._quality: dict[str, int] | None = config.get("quality")

    def batch(self, rng: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Draw one augmented batch."""
        return self._sampler.batch(rng, size)

    def pictures(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the network input of a batch."""
        return prepared(batch["image"])

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the weighted sum of the heads' losses and each of them unweighted; `taught.HEAD` is the answers'."""
        if not isinstance(model, HeadedNet):
            raise TypeError(f"the face task trains a FaceNet, not a {type(model).__name__}")
        out = model.raw(self.pictures(batch))
        found = losses(out, batch, self._learnt, self._rate, self._hidden)
        total = self._sum(found, model.balance)
        if taught := self._lessons.losses(out, batch):
            total = total + self._lessons.weight * self._sum(taught)
            found |= {f"taught.{name}": value for name, value in taught.items()}
        return total, {name: float(value.detach()) for name, value in found.items()}

    def _sum(self, found: dict[str, Tensor], balance: Balance | None = None) -> Tensor:
        weighted = {name: self._weights.get(name, 1.0) * value for name, value in found.items()}
        return balance(weighted) if balance else torch.stack(list(weighted.values())).sum()

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Return the validation figures and their score."""
        figures = measure(model, self._sets, self._code)
        return {"score": score_of(figures), **figures}

    def complete(self, model: nn.Module, seed: int) -> dict[str, float]:
        """Solve the head `quality` where the recipe has a table `[quality]`; its `faces` is the most a set gives."""
        if self._quality is None:
            return {}
        assert isinstance(model, FaceNet), "a recipe with quality builds a FaceNet"
        return solve_quality(Witness(model, self._code), self._sampler, int(self._quality["faces"]), seed)
