"""Attractiveness by transferred features and Bayesian ridge regression (Xu, Xiang and Yuan 2018), as one linear layer.

The trunk learnt other tasks. Its embedding of every rated face goes into a ridge regression whose two precisions,
of the weights and of the noise, are those under which the ratings are most probable (MacKay 1992), so nothing is
tuned. The solution is written into the linear layer of the head: the exported network is an ordinary one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vultus_models.face.cache import Crops
from vultus_models.face.data import plain_batches
from vultus_models.face.evaluation import prepared
from vultus_models.face.network import FaceNet
from vultus_models.face.task import FaceTask
from vultus_models.training.loop import Schedule, load_weights
from vultus_models.training.report import Reporter

__all__ = ["Ridge", "RidgeTask", "bayesian_ridge", "embeddings", "log_evidence"]

Array = npt.NDArray[np.float64]

HEAD = "attractiveness"
ENDS = 0.01
"""Ratings are kept this far from both ends of the scale, since the layer gives their logit."""

ROUNDS, SETTLED = 300, 1e-6


@dataclass(frozen=True)
class Ridge:
    """A solved regression: weights (d,) and bias, the precisions of weights and noise, its log evidence."""

    weights: Array
    bias: float
    alpha: float
    beta: float
    evidence: float


def bayesian_ridge(features: Array, targets: Array) -> Ridge:
    """Return the regression of targets (n,) on features (n, d) under the most probable precisions.

    Features are standardised first, so one precision fits all their weights; alpha and the evidence are of that form.
    Raises ValueError for fewer than three faces or targets that do not differ.
    """
    if len(targets) < 3 or not np.ptp(targets):
        raise ValueError(f"{len(targets)} targets were given; expected at least 3 that differ")
    middle, spread = features.mean(axis=0), features.std(axis=0)
    scaled = (features - middle) / np.where(spread > 0, spread, 1.0)
    centred = targets - targets.mean()
    left, size, right = np.linalg.svd(scaled, full_matrices=False)
    along, power = left.T @ centred, size**2
    alpha, beta = 1.0, 1.0 / float(centred.var())
    for _ in range(ROUNDS):
        found = beta * size * along / (alpha + beta * power)
        known = float((beta * power / (alpha + beta * power)).sum())
        error = float(((along - size * found) ** 2).sum() + (centred @ centred - along @ along))
        before = alpha, beta
        alpha, beta = known / float(found @ found), (len(targets) - known) / error
        if max(abs(np.log(alpha / before[0])), abs(np.log(beta / before[1]))) < SETTLED:
            break
    solved = right.T @ (beta * size * along / (alpha + beta * power))
    weights = solved / np.where(spread > 0, spread, 1.0)
    bias = float(targets.mean() - middle @ weights)
    return Ridge(weights, bias, alpha, beta, log_evidence(scaled, centred, alpha, beta))


def log_evidence(features: Array, targets: Array, alpha: float, beta: float) -> float:
    """Return the log probability of targets (n,) with mean 0 under both precisions, the weights integrated out."""
    count, width = features.shape
    left, size, _ = np.linalg.svd(features, full_matrices=False)
    along, power = left.T @ targets, size**2
    error = beta * float(targets @ targets) - float(
        (beta**2 * power * along**2 / (alpha + beta * power)).sum()
    )
    volume = float(np.log(alpha + beta * power).sum()) + (width - len(size)) * np.log(alpha)
    return 0.5 * float(
        width * np.log(alpha) + count * np.log(beta) - error - volume - count * np.log(2 * np.pi)
    )


def embeddings(model: FaceNet, source: Crops, chosen: npt.NDArray[np.intp], size: int) -> tuple[Array, Array]:
    """Return the embeddings (2n, d) of the chosen faces and of their mirror images, and their ratings (2n,)."""
    seen: list[Tensor] = []
    ratings: list[Tensor] = []
    hook = model.embedding.register_forward_hook(lambda module, given, out: seen.append(out))
    try:
        with torch.no_grad():
            for batch in plain_batches(source, chosen, size):
                crops = prepared(batch["image"])
                for one in (crops, crops.flip(3)):
                    model(one)
                    ratings.append(batch[HEAD])
    finally:
        hook.remove()
    return torch.cat(seen).double().numpy(), torch.cat(ratings).double().numpy()


class RidgeTask(FaceTask):
    """The face task whose attractiveness is solved, not trained.

    The recipe's `[ridge] trunk` names the run, beside this one, whose `best.pt` is the trunk; its network must be the
    same but for what it learnt.
    """

    def __init__(self, sets: Any, sampler: Any, config: dict[str, Any], teacher: Any = None) -> None:
        super().__init__(sets, sampler, config, teacher)
        self.trunk = str(config["ridge"]["trunk"])

    def fit(self, model: nn.Module, schedule: Schedule, run: Path, seed: int) -> nn.Module:
        """Solve the head on the trunk's embeddings of all rated training faces, and write `best.pt` and `last.pt`.

        seed: for the log alone; nothing is drawn.

        Raises FileNotFoundError when there is no trunk, ValueError when no face is rated.
        """
        assert isinstance(model, FaceNet), "a recipe of kind ridge builds a FaceNet"
        trunk = run.parent / self.trunk / "best.pt"
        if not trunk.is_file():
            raise FileNotFoundError(
                f"{trunk} is not there; train the recipe of the trunk into that run first"
            )
        load_weights(model, trunk)
        solved = self._solve(model.eval(), schedule.batch)
        head = model.out[HEAD]
        assert isinstance(head, nn.Linear)
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(solved.weights)[None])
            head.bias.fill_(solved.bias)
        self._write(model, solved, schedule, run, seed)
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

    def _write(self, model: FaceNet, solved: Ridge, schedule: Schedule, run: Path, seed: int) -> None:
        run.mkdir(parents=True, exist_ok=True)
        figures = self.evaluate(model)
        stored = {"model": model.state_dict(), "step": schedule.steps, "best": figures["score"]}
        for name in ("best.pt", "last.pt"):
            torch.save(stored, run / name)
        numbers = {"alpha": solved.alpha, "beta": solved.beta, "evidence": solved.evidence}
        with Reporter(run, schedule.steps, 0) as reporter:
            reporter.start(seed)
            reporter.evaluation(schedule.steps, {**figures, **numbers}, True)
