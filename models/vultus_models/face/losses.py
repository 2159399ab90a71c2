"""The losses of the heads; a face counts only in those whose label it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from vultus.geometry import POINTS_IN_68
from vultus_models.face.ages import AgeCode
from vultus_models.face.crnet import Rating, plain
from vultus_models.face.group_age import GroupAge
from vultus_models.face.visible import visible

__all__ = ["REGIONS", "RULES", "Goal", "five_of", "losses", "wing"]

Tensors = dict[str, Tensor]

REGIONS = ("eyes", "nose", "mouth")
"""Outputs of the networks that judge the expression from one part of the face."""


@dataclass(frozen=True)
class Goal:
    """What the losses are taken of: outputs and labels by name, the age's code, the loss of attractiveness.

    hidden: weight of landmarks that the camera does not see.
    """

    out: Tensors
    batch: Tensors
    code: AgeCode
    rate: Rating
    hidden: float = 1.0

    @cached_property
    def marks(self) -> Tensor:
        """Landmarks (n, 68, 2), made once, so that the gradients of both their losses add up in full precision."""
        return self.out["landmarks"].float().view(-1, 68, 2)


def wing(error: Tensor, width: float = 0.06, curve: float = 0.012) -> Tensor:
    """Return the wing loss (Feng et al. 2018) of errors: steep near zero, linear beyond `width`."""
    size = error.abs()
    log = torch.log1p(size / curve)
    offset = width - width * float(torch.log1p(torch.tensor(width / curve)))
    return torch.where(size < width, width * log, size - offset)


def five_of(landmarks: Tensor) -> Tensor:
    """Return eye centres, nose tip and mouth corners (n, 5, 2) of landmarks (n, 68, 2)."""
    return torch.stack([landmarks[:, first : first + n].mean(dim=1) for first, n in POINTS_IN_68], dim=1)


def losses(
    out: Tensors, batch: Tensors, code: AgeCode | None = None, rate: Rating = plain, hidden: float = 1.0
) -> dict[str, Tensor]:
    """Return the mean loss of every head that `out` has over the faces that have its label (0 where none has).

    code: what the age head learns; Group-n by default. rate: the loss of attractiveness. hidden: weight of landmarks
    that the camera does not see, beside 1 for the others.
    """
    goal = Goal(out, batch, code or GroupAge(), rate, hidden)
    return {name: rule(goal) for name, (output, rule) in RULES.items() if output in out}


def _known(target: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the mean of loss(mask, targets) over the faces whose target is not NaN."""
    mask = torch.isfinite(target).reshape(len(target), -1).all(dim=1)
    return loss(mask, target[mask]).mean() if bool(mask.any()) else target.new_zeros(())


def _pose(out: Tensor, target: Tensor) -> Tensor:
    return F.smooth_l1_loss(out, target, reduction="none", beta=0.05).mean(dim=1)


def _classes(out: Tensor, target: Tensor) -> Tensor:
    known = target >= 0
    if not bool(known.any()):
        return out.new_zeros(())
    return F.cross_entropy(out[known], target[known], label_smoothing=0.05)


def _cross(out: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(out, target, reduction="none")


def _binary(out: Tensor, target: Tensor) -> Tensor:
    return _known(target, lambda m, t: _cross(out[m], t))


def _landmarks(goal: Goal) -> Tensor:
    weight = visible(90 * goal.batch["pose"][:, 0], goal.hidden)
    weight = weight / weight.mean(dim=1, keepdim=True)

    def loss(mask: Tensor, target: Tensor) -> Tensor:
        return (weight[mask][:, :, None] * wing(goal.marks[mask] - target)).mean(dim=(1, 2))

    return _known(goal.batch["landmarks"], loss)


def _five(goal: Goal) -> Tensor:
    return _known(goal.batch["five"], lambda m, t: wing(five_of(goal.marks[m]) - t).mean(dim=(1, 2)))


def _turned(goal: Goal) -> Tensor:
    return _known(goal.batch["pose"], lambda m, t: _pose(goal.out["pose"].float()[m], t))


def _age(goal: Goal) -> Tensor:
    return _known(goal.batch["age"], lambda m, t: goal.code.loss(goal.out["age"].float()[m], t))


def _rated(goal: Goal) -> Tensor:
    return _known(goal.batch["attractiveness"], lambda m, t: goal.rate(goal.out, m, t))


def _hair(goal: Goal) -> Tensor:
    hair = goal.out["facial_hair"].float()
    return _known(goal.batch["facial_hair"], lambda m, t: _cross(hair[m], t).mean(dim=1))


def _class_of(output: str, label: str) -> Rule:
    return lambda goal: _classes(goal.out[output].float(), goal.batch[label])


def _odds_of(output: str, label: str) -> Rule:
    return lambda goal: _binary(goal.out[output].float()[:, 0], goal.batch[label])


Rule = Callable[[Goal], Tensor]

RULES: dict[str, tuple[str, Rule]] = {
    "landmarks": ("landmarks", _landmarks),
    "five": ("landmarks", _five),
    "pose": ("pose", _turned),
    "age": ("age", _age),
    "attractiveness": ("attractiveness", _rated),
    "gender": ("gender", _class_of("gender", "gender")),
    "ethnicity": ("ethnicity", _class_of("ethnicity", "ethnicity")),
    "expression": ("expression", _class_of("expression", "expression")),
    "smile": ("smile", _odds_of("smile", "smile")),
    "eyeglasses": ("eyeglasses", _odds_of("eyeglasses", "eyeglasses")),
    "auxiliary": ("auxiliary", _odds_of("auxiliary", "attractive")),
    "facial_hair": ("facial_hair", _hair),
    **{region: (region, _class_of(region, "expression")) for region in REGIONS},
}
"""Name of a loss -> the output that learns from it, and the loss."""
