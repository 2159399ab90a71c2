"""Distillation (Hinton et al. 2015): what trained networks answer to a face is learnt beside its labels.

Every set has only some of the labels; the teachers have an answer to everything, so each crop teaches every head. The
answers belong to the face as it was cached: what is done to a crop changes none of them, and the landmarks follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from vultus.errors import ModelError
from vultus.spec import Head
from vultus_models.face.ages import AgeCode, learnt_code
from vultus_models.face.answers import ask
from vultus_models.face.cache import Crops
from vultus_models.face.data import Answers
from vultus_models.face.heads import heads
from vultus_models.face.losses import wing

__all__ = ["Lessons", "answers_of"]

HEAT = 2.0
"""Temperature of the classes: above 1 the teachers' lesser answers count too."""

LEAST = 1e-6
"""Probabilities are not taken to be below this, since their logarithms are learnt from."""

Tensors = dict[str, Tensor]


def answers_of(config: dict[str, Any], sets: Sequence[Crops], cache: Path) -> Answers | None:
    """Return what the teachers of the recipe's table `[teacher]` answer to the sets, or None without that table.

    models: ONNX files of face networks; trust: how much each counts, in all it answers or by field, all alike by
    default. Raises ModelError where one is not there or does not fit, or where the recipe's network has no head that
    they could teach.
    """
    if "teacher" not in config:
        return None
    table = config["teacher"]
    found = ask([Path(path) for path in table["models"]], sets, cache, table.get("trust", ()))
    own = [head.field for head in heads(config)]
    if not set(own) & set(found.fields):
        raise ModelError(
            f"the teachers answer {', '.join(found.fields)}, of which the recipe's network learns none: it has "
            f"{', '.join(own)}"
        )
    return found


@dataclass(frozen=True)
class Lessons:
    """How a network learns from answers. weight: of the lessons beside the labels."""

    heads: tuple[Head, ...]
    code: AgeCode
    weight: float = 1.0

    @classmethod
    def of(cls, config: dict[str, Any]) -> Lessons:
        """Return the lessons that a recipe's network takes; a table `[teacher]` may have a weight."""
        weight = float(config.get("teacher", {}).get("weight", 1.0))
        return cls(heads(config), learnt_code(config), weight)

    def losses(self, out: Tensors, batch: Tensors) -> Tensors:
        """Return the mean difference of every head to its answers, "taught.FIELD" of the batch; none where it has none.

        Classes and yes-or-no answers differ by the Kullback-Leibler divergence, ages by the loss of the network's code,
        landmarks as from their labels, percentages by the mean absolute difference.
        """
        found: Tensors = {}
        for head in self.heads:
            wanted = batch.get(f"taught.{head.field}")
            if wanted is None:
                continue
            given = out[head.output].float()
            if head.kind == "group_age":
                found[head.output] = self.code.loss(given, wanted).mean()
            else:
                found[head.output] = RULES[head.kind](given, wanted.reshape(given.shape))
        return found


def _classes(given: Tensor, wanted: Tensor) -> Tensor:
    logits = wanted.clamp(min=LEAST).log()
    ours, theirs = ((one / HEAT).log_softmax(dim=1) for one in (given, logits))
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True) * HEAT**2


def _odds(given: Tensor, wanted: Tensor) -> Tensor:
    share = wanted.clamp(LEAST, 1 - LEAST)
    return F.binary_cross_entropy_with_logits(given, share) - F.binary_cross_entropy(share, share)


def _shares(given: Tensor, wanted: Tensor) -> Tensor:
    return F.l1_loss(given.sigmoid(), wanted)


RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": _classes,
    "sigmoid": _odds,
    "percent": _shares,
    "landmarks": lambda given, wanted: wing(given - wanted).mean(),
}
"""Kind of a head -> how far its raw output is from the answer."""
