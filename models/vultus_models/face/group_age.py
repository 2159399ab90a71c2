"""Group-n age encoding (AGEn, Tan et al. 2017): an age as membership in overlapping groups.

K ages make K + n - 1 groups; group j holds the ages first + j - n + 1 ... first + j, so every age lies in
exactly n groups and each group is a binary question. The evidence for an age is the mean logit of its n
groups; a softmax over the ages turns it into the distribution that the groups imply. The runtime decodes it
around its peak (`vultus.decode.heads`); the loss teaches groups and distribution together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["GroupAge"]


@dataclass(frozen=True)
class GroupAge:
    """The encoding: `count` ages from `first`, in groups of `group` neighbouring ages."""

    first: int = 0
    count: int = 101
    group: int = 11

    @property
    def size(self) -> int:
        """Number of groups, the logits that the head gives."""
        return self.count + self.group - 1

    def encode(self, ages: Tensor) -> Tensor:
        """Return the membership (n, size), 0 or 1, of ages (n,) in years; ages outside are taken as the ends."""
        index = (ages.round().long() - self.first).clamp(0, self.count - 1)
        offset = torch.arange(self.size, device=ages.device)[None] - index[:, None]
        return ((offset >= 0) & (offset < self.group)).float()

    def evidence(self, logits: Tensor) -> Tensor:
        """Return the mean logit (n, count) of the groups that hold each age."""
        return F.avg_pool1d(logits[:, None], self.group, 1)[:, 0]

    def distribution(self, logits: Tensor) -> Tensor:
        """Return the probability (n, count) of each age that logits (n, size) imply."""
        return self.evidence(logits).softmax(dim=1)

    def expectation(self, logits: Tensor) -> Tensor:
        """Return the mean age (n,) of the implied distribution, in years."""
        ages = torch.arange(self.count, device=logits.device, dtype=logits.dtype) + self.first
        return self.distribution(logits) @ ages

    def decode(self, logits: Tensor) -> Tensor:
        """Return the age (n,) by local decoding: the mean within `group` years of the most likely age."""
        share = self.distribution(logits)
        ages = torch.arange(self.count, device=logits.device, dtype=logits.dtype)
        near = (ages[None] - share.argmax(dim=1, keepdim=True)).abs() <= self.group
        local = share * near
        return (local @ ages) / local.sum(dim=1) + self.first

    def loss(self, logits: Tensor, ages: Tensor, spread: float = 2.0) -> Tensor:
        """Return the loss (n,): balanced group questions, the implied distribution, and its mean.

        Groups that hold the age and groups that do not weigh the same, as n is far below their number. The
        distribution is drawn to a narrow normal one, `spread` years wide, since labelled ages are estimates.
        """
        member = self.encode(ages)
        each = F.binary_cross_entropy_with_logits(logits, member, reduction="none")
        questions = (each * member).sum(1) / self.group + (each * (1 - member)).sum(1) / (self.count - 1)
        years = torch.arange(self.count, device=logits.device, dtype=logits.dtype) + self.first
        target = (-0.5 * ((years[None] - ages[:, None]) / spread) ** 2).softmax(dim=1)
        shape = -(target * self.evidence(logits).log_softmax(dim=1)).sum(dim=1)
        mean = F.smooth_l1_loss(self.expectation(logits), ages, reduction="none", beta=2.0)
        return 0.5 * questions + 0.5 * shape + 0.1 * mean
