"""Attractiveness by transferred features and Bayesian ridge regression (Xu, Xiang and Yuan 2018), as one linear layer.

The trunk learnt other tasks. Its embedding of every rated face goes into a ridge regression whose solution is
written into the linear layer of the head: the exported network is an ordinary one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vultus_models.face.cache import Crops
from vultus_models.face.data import plain_batches
from vultus_models.face.evaluation import prepared
from vultus_models.face.network import FaceNet, embedded
from vultus_models.face.regression import Ridge, bayesian_ridge, write_into
from vultus_models.face.task import FaceTask
from vultus_models.training.checkpoint import load_weights, write_checkpoint
from vultus_models.training.loop import Schedule
from vultus_models.training.report import Reporter

__all__ = ["RidgeTask", "embeddings"]

Array = npt.NDArray[np.float64]

HEAD = "attractiveness"
ENDS = 0.01
"""Ratings are kept this far from both ends of the scale, since the layer gives their logit."""


def embeddings(model: FaceNet, source: Crops, chosen: npt.NDArray[np.intp], size: int) -> tuple[Array, Array]:
    """Return the embeddings (2n, d) of the chosen faces and of their mirror images, and their ratings (2n,)."""
    seen: list[Tensor] = []
    ratings: list[Tensor] = []
    for batch in plain_batches(source, chosen, size):
        crops = prepared(batch["image"])
        for one in (crops, crops.flip(3)):
            seen.append(embedded(model, one)[0])
            ratings.append(batch[HEAD])
    return torch.cat(seen).double().numpy(), torch.cat(ratings).double().numpy()


class RidgeTask(FaceTask):
    """The face task whose attractiveness is solved, not trained.

    The recipe's `[ridge] trunk` names the run, beside this one, whose `best.pt` is the trunk; its network must be the
    same but for what it learnt.
    """

    def __init__(self, sets: Any, sampler: Any, config: dict[str, Any]) -> None:
        super().__init__(sets, sampler, config)
        self.trunk = str(config["ridge"]["trunk"])

    def fit(self, model: nn.Module, schedule: Schedule, run: Path, seed: int) -> nn.Module:
        """Solve the head on the trunk's embeddings of all rated training faces, and write `best.pt` and `last.pt`.

        seed: for the log, and for the faces that quality is solved on where the recipe asks for it.

        Raises ModelError when there is no trunk that fits, ValueError when no face is rated.
        """
        assert isinstance(model, FaceNet), "a recipe of kind ridge builds a FaceNet"
        load_weights(model, run.parent / self.trunk / "best.pt")
        solved = self._solve(model.eval(), schedule.batch)
        write_into(model.out[HEAD], solved)
        self._write(model, solved, self.complete(model, seed), schedule, run, seed)
        return model

    def _solve(self, model: FaceNet, size: int) -> Ridge:
        parts = []
        for source in self._sets:
            rated = np.isfinite(source.faces["labels"][HEAD]) & ~source.faces["val"]
            if rated.any():
                parts.append(embeddings(model, source, np.flatnonzero(rated), size))
        if not parts:
            raise ValueError(
                "no training face of the recipe's sets is rated; add a set that is to [data.shares]"
            )
        features, ratings = (np.concatenate(column) for column in zip(*parts, strict=True))
        inside = ratings.clip(ENDS, 1 - ENDS)
        return bayesian_ridge(features, np.log(inside / (1 - inside)))

    def _write(
        self, model: FaceNet, solved: Ridge, more: dict[str, float], schedule: Schedule, run: Path, seed: int
    ) -> None:
        run.mkdir(parents=True, exist_ok=True)
        figures = self.evaluate(model)
        stored = {"model": model.state_dict(), "step": schedule.steps, "best": figures["score"]}
        for name in ("best.pt", "last.pt"):
            write_checkpoint(stored, run / name)
        numbers = {"alpha": solved.alpha, "beta": solved.beta, "evidence": solved.evidence, **more}
        with Reporter(run, schedule.steps, 0) as reporter:
            reporter.start(seed)
            reporter.evaluation(schedule.steps, {**figures, **numbers}, True)
