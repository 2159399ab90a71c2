"""Bayesian ridge regression (MacKay 1992).

Its two precisions, of the weights and of the noise, are those under which the targets are most probable, so nothing is
tuned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

__all__ = ["Ridge", "bayesian_ridge", "log_evidence", "write_into"]

Array = npt.NDArray[np.float64]

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
        told = float(found @ found)
        if told < np.finfo(np.float64).tiny:  # nothing is told of the targets: their mean is the answer
            break
        error = float(((along - size * found) ** 2).sum() + (centred @ centred - along @ along))
        before = alpha, beta
        alpha, beta = known / told, (len(targets) - known) / error
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


@torch.no_grad()
def write_into(layer: nn.Module, solved: Ridge) -> None:
    """Write a regression into a linear layer of one output."""
    assert isinstance(layer, nn.Linear), "a head of one number is a linear layer"
    layer.weight.copy_(torch.from_numpy(solved.weights)[None])
    layer.bias.fill_(solved.bias)
