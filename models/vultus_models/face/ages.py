"""Ways to encode an age: Group-n, softmax with its expectation, plain regression, on the same trunk.

The raw output of an age head is what its loss learns from. What the network gives to the runtime is always a Group-n
code: that of Group-n itself, or, for the other two, a narrow bell about the age that was found, so the runtime decodes
all three alike. The spread that it reads from such a code is no estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vultus_models.face.group_age import GroupAge

__all__ = [
    "AGES",
    "WRITTEN_GROUP",
    "AgeCode",
    "AgeForm",
    "PlainAge",
    "SoftmaxAge",
    "bell",
    "learnt_code",
    "written_code",
]

WRITTEN_GROUP, WIDTH = 3, 0.55
"""Ages in a group of the code that is written for the other two, and the width of its bell in years."""


class AgeCode(Protocol):
    """What a head learns an age as."""

    @property
    def size(self) -> int:
        """Number of raw outputs a face."""

    def loss(self, logits: Tensor, ages: Tensor) -> Tensor:
        """Return the loss (n,) of raw outputs (n, size) for ages (n,) in years."""


@dataclass(frozen=True)
class SoftmaxAge:
    """A logit for each of `count` ages from `first`; the age is the mean of their softmax (DEX, Rothe et al. 2015).

    The loss has the distribution and mean terms of Group-n's, so the two differ in the groups alone.
    """

    first: int = 0
    count: int = 101

    @property
    def size(self) -> int:
        """Number of ages."""
        return self.count

    def years(self, logits: Tensor) -> Tensor:
        """Return the ages (n,) of logits (n, count)."""
        ages = torch.arange(self.count, device=logits.device, dtype=logits.dtype) + self.first
        return logits.softmax(dim=1) @ ages

    def loss(self, logits: Tensor, ages: Tensor, spread: float = 2.0) -> Tensor:
        """Return the loss (n,): cross entropy to a normal distribution `spread` years wide, and the error."""
        years = torch.arange(self.count, device=logits.device, dtype=logits.dtype) + self.first
        target = (-0.5 * ((years[None] - ages[:, None]) / spread) ** 2).softmax(dim=1)
        shape = -(target * logits.log_softmax(dim=1)).sum(dim=1)
        return shape + 0.1 * F.smooth_l1_loss(self.years(logits), ages, reduction="none", beta=2.0)


@dataclass(frozen=True)
class PlainAge:
    """One number: the age in units of `unit` years from `centre`, kept within `count` ages from `first`."""

    first: int = 0
    count: int = 101
    centre: float = 35.0
    unit: float = 20.0
    size: int = 1

    def years(self, out: Tensor) -> Tensor:
        """Return the ages (n,) of raw outputs (n, 1), however far they reach."""
        return self.centre + self.unit * out[:, 0]

    def loss(self, logits: Tensor, ages: Tensor) -> Tensor:
        """Return the loss (n,): the error in years, squared below two of them, a quarter of it beyond."""
        return 0.25 * F.smooth_l1_loss(self.years(logits), ages, reduction="none", beta=2.0)


AGES = ("group", "softmax", "plain")
"""What `[model] age` of a recipe may be."""


def learnt_code(config: dict[str, Any]) -> GroupAge | SoftmaxAge | PlainAge:
    """Return what the age head of a recipe learns; raises ValueError for an unknown `[model] age`."""
    model = config.get("model", {})
    kind, count = model.get("age", "group"), int(model.get("ages", 101))
    if kind not in AGES:
        raise ValueError(f"age encoding {kind!r} is unknown; expected one of {', '.join(AGES)}")
    if kind == "group":
        return GroupAge(0, count, int(model.get("age_group", 11)))
    return SoftmaxAge(0, count) if kind == "softmax" else PlainAge(0, count)


def written_code(config: dict[str, Any]) -> GroupAge:
    """Return the Group-n code that the network of a recipe gives to the runtime."""
    code = learnt_code(config)
    return code if isinstance(code, GroupAge) else GroupAge(code.first, code.count, WRITTEN_GROUP)


def bell(years: Tensor, code: GroupAge) -> Tensor:
    """Return logits (n, code.size) of ages (n,) that imply a normal distribution about each age.

    A decoder reads the age itself from them, to a hundredth of a year, and to a sixth in the first and the last year.
    Logits of one age alone would be steep between whole years, where rounding errors of an age become large.
    """
    groups = torch.arange(code.size, device=years.device, dtype=years.dtype)
    centres = groups + (code.first - (code.group - 1) / 2)
    near = years.clamp(code.first - 1.5, code.first + code.count + 0.5)
    return -0.5 * ((centres[None] - near[:, None]) / WIDTH) ** 2


class AgeForm(nn.Module):
    """The step from what the age head learnt to what the runtime reads; nothing at all for Group-n."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.code, self.written = learnt_code(config), written_code(config)

    def forward(self, raw: Tensor) -> Tensor:
        """Return Group-n logits of raw outputs (n, size)."""
        if isinstance(self.code, GroupAge):
            return raw
        return bell(self.code.years(raw.float()), self.written)
