"""Losses for attractiveness, on the same trunk: plain smooth L1, HMT-Net's smooth Huber, CRNet's two heads.

Ratings come as shares of their scale, 0-1; the head that the runtime reads gives their logit. CRNet (Xu et al. 2018)
learns the rating as a number and as a class at once, which steadies the features that both read; the third term, the
mean of the classes' distribution against the rating (ComboLoss, Xu and Xiang 2020), keeps the heads of one mind. The
class head is for the training alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "CLASSES",
    "CLASS_HEAD",
    "RATINGS",
    "crnet",
    "extra_outputs",
    "plain",
    "rating_loss",
    "smooth_huber",
]

CLASS_HEAD = "rating_class"
CLASSES = 10
"""Classes of the rating: a scale of 1-10, rounded."""

CLASS_SHARE = 0.05
"""Weight of the classes' cross entropy, whose values are some thirty times those of the other terms."""

BEND = 0.1
"""Error, as a share of the scale, up to which a loss is about quadratic."""

Rating = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]
"""(outputs by name, mask of the faces that are rated, their ratings (k,)) to losses (k,)."""


def _share(out: dict[str, Tensor], known: Tensor) -> Tensor:
    return out["attractiveness"][known].float()[:, 0].sigmoid()


def plain(out: dict[str, Tensor], known: Tensor, rating: Tensor) -> Tensor:
    """Return the smooth L1 loss: quadratic up to BEND, linear beyond."""
    return F.smooth_l1_loss(_share(out, known), rating, reduction="none", beta=BEND)


def smooth_huber(out: dict[str, Tensor], known: Tensor, rating: Tensor) -> Tensor:
    """Return the smooth Huber loss of HMT-Net (Xu et al. 2019): quadratic passes into linear without a seam.

    It is divided by BEND, so its slope far away is that of `plain`.
    """
    error = (_share(out, known) - rating) / BEND
    return BEND * ((1 + error.square()).sqrt() - 1)


def crnet(out: dict[str, Tensor], known: Tensor, rating: Tensor) -> Tensor:
    """Return the loss of both heads: the number, the class, and the mean of the classes."""
    logits = out[CLASS_HEAD][known].float()
    top = CLASSES - 1
    classes = F.cross_entropy(logits, (rating * top).round().long(), reduction="none")
    steps = torch.arange(CLASSES, device=logits.device, dtype=logits.dtype) / top
    mean = F.smooth_l1_loss(logits.softmax(dim=1) @ steps, rating, reduction="none", beta=BEND)
    return plain(out, known, rating) + CLASS_SHARE * classes + mean


RATINGS: dict[str, Rating] = {"plain": plain, "huber": smooth_huber, "crnet": crnet}
"""What `[model] rating` of a recipe may be."""


def _name(config: dict[str, Any]) -> str:
    name = str(config.get("model", {}).get("rating", "plain"))
    if name not in RATINGS:
        raise ValueError(f"rating loss {name!r} is unknown; expected one of {', '.join(RATINGS)}")
    return name


def rating_loss(config: dict[str, Any]) -> Rating:
    """Return the loss of a recipe's `[model] rating`; raises ValueError for an unknown one."""
    return RATINGS[_name(config)]


def extra_outputs(config: dict[str, Any]) -> dict[str, int]:
    """Return name and width of the outputs that only the training of a recipe needs."""
    return {CLASS_HEAD: CLASSES} if _name(config) == "crnet" else {}
