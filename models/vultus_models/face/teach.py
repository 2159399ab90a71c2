"""Distillation (Hinton et al. 2015): a larger face network of our own says what a smaller one is to answer.

Every set has only some of the labels; the teacher has an answer to everything, so each crop teaches every head. The
teacher sees the very crop that the student sees, with all that was done to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vultus.errors import ModelError
from vultus.spec import Head
from vultus_models.face.ages import AgeCode
from vultus_models.face.heads import age_code, heads
from vultus_models.face.network import HeadedNet
from vultus_models.train import RECIPES, read_recipe
from vultus_models.training.loop import load_weights

__all__ = ["Teacher", "teacher_of"]

HEAT = 2.0
"""Temperature of the classes: above 1 the teacher's lesser answers count too."""

Tensors = dict[str, Tensor]


class Teacher:
    """A trained network and what it weighs beside the labels.

    code: what the student's age head learns.
    """

    def __init__(
        self,
        network: HeadedNet,
        config: Mapping[str, Any],
        student: tuple[Head, ...],
        code: AgeCode,
        weight: float,
    ) -> None:
        self.network, self.weight = network.eval().requires_grad_(False), weight
        self._ages, self._code = age_code(dict(config)), code
        known = {head.output for head in network.heads}
        self._heads = [head for head in student if head.output in known]
        if not self._heads:
            raise ModelError(
                f"the teacher answers {', '.join(sorted(known))}, of which the recipe's network learns none; name a "
                "teacher with heads of the same names"
            )

    def losses(self, crops: Tensor, out: Tensors) -> Tensors:
        """Return the mean difference of every head to the teacher's answer, over all crops (n, 3, side, side).

        Classes and yes-or-no answers differ by the Kullback-Leibler divergence, ages by the loss of the student's
        code for the teacher's years, all else by the mean absolute difference.
        """
        with torch.no_grad():
            answer = dict(zip((h.output for h in self.network.heads), self.network(crops), strict=True))
        found: Tensors = {}
        for head in self._heads:
            given, wanted = out[head.output].float(), answer[head.output].float()
            if head.kind == "group_age":
                found[head.output] = self._code.loss(given, self._ages.decode(wanted)).mean()
            else:
                found[head.output] = RULES[head.kind](given, wanted)
        return found


def _classes(given: Tensor, wanted: Tensor) -> Tensor:
    ours, theirs = ((logits / HEAT).log_softmax(dim=1) for logits in (given, wanted))
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True) * HEAT**2


def _odds(given: Tensor, wanted: Tensor) -> Tensor:
    share = wanted.sigmoid()
    surprise = F.binary_cross_entropy_with_logits(given, share)
    return surprise - F.binary_cross_entropy_with_logits(wanted, share)


def _shares(given: Tensor, wanted: Tensor) -> Tensor:
    return F.l1_loss(given.sigmoid(), wanted.sigmoid())


RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": _classes,
    "sigmoid": _odds,
    "percent": _shares,
    "landmarks": F.l1_loss,
    "euler": F.l1_loss,
}
"""Kind of a head -> how far the student's raw output is from the teacher's."""


def teacher_of(
    config: dict[str, Any], code: AgeCode, build: Callable[[dict[str, Any]], HeadedNet]
) -> Teacher | None:
    """Return the teacher that the recipe's `[teacher]` table names, or None.

    recipe: a recipe of the package by name, or a TOML file. checkpoint: its trained weights. weight: of the lessons
    beside the labels, 1 by default. build: makes the network of a recipe. Raises ModelError when there is no such
    recipe or checkpoint, it does not fit, or the two networks eat crops of different sides.
    """
    if "teacher" not in config:
        return None
    table = config["teacher"]
    path, checkpoint = _recipe(str(table["recipe"])), Path(table["checkpoint"])
    if not checkpoint.is_file():
        raise ModelError(f"the teacher's checkpoint {checkpoint} is not there; train {path.name} first")
    theirs = read_recipe(path)
    sides = [int(one.get("model", {}).get("side", 112)) for one in (config, theirs)]
    if sides[0] != sides[1]:
        raise ModelError(
            f"the teacher {path.name} eats crops of {sides[1]} px, the recipe's network of {sides[0]} px"
        )
    network = build(theirs)
    load_weights(network, checkpoint)
    return Teacher(network, theirs, heads(config), code, float(table.get("weight", 1.0)))


def _recipe(name: str) -> Path:
    path = Path(name)
    if path.suffix != ".toml":
        path = RECIPES / f"{name}.toml"
    if not path.is_file():
        raise ModelError(
            f"there is no recipe {name!r} for the teacher; name one of the package or a TOML file"
        )
    return path
