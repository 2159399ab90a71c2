"""The losses of the heads; a face counts only in those whose label it has."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from vultus_models.face.ages import AgeCode
from vultus_models.face.crnet import Rating, plain

__all__ = ["five_of", "losses", "wing"]


def wing(error: Tensor, width: float = 0.06, curve: float = 0.012) -> Tensor:
    """Return the wing loss (Feng et al. 2018) of errors: steep near zero, linear beyond `width`."""
    size = error.abs()
    log = torch.log1p(size / curve)
    offset = width - width * float(torch.log1p(torch.tensor(width / curve)))
    return torch.where(size < width, width * log, size - offset)


def five_of(landmarks: Tensor) -> Tensor:
    """Return eye centres, nose tip and mouth corners (n, 5, 2) of landmarks (n, 68, 2)."""
    eyes = [landmarks[:, first : first + 6].mean(dim=1) for first in (36, 42)]
    return torch.stack([*eyes, *(landmarks[:, k] for k in (30, 48, 54))], dim=1)


def losses(
    out: dict[str, Tensor], batch: dict[str, Tensor], code: AgeCode, rate: Rating = plain
) -> dict[str, Tensor]:
    """Return the mean loss of every head that `out` has over the faces that have its label (0 where none has)."""
    rules: dict[str, tuple[str, Callable[[], Tensor]]] = {
        "landmarks": ("landmarks", lambda: _known(batch["landmarks"], lambda m, t: _away(_marks(out)[m], t))),
        "five": ("landmarks", lambda: _known(batch["five"], lambda m, t: _away(five_of(_marks(out))[m], t))),
        "pose": ("pose", lambda: _known(batch["pose"], lambda m, t: _pose(out["pose"].float()[m], t))),
        "age": ("age", lambda: _known(batch["age"], lambda m, t: code.loss(out["age"].float()[m], t))),
        "attractiveness": (
            "attractiveness",
            lambda: _known(batch["attractiveness"], lambda m, t: rate(out, m, t)),
        ),
    }
    for name in ("gender", "ethnicity", "expression"):
        rules[name] = (name, lambda name=name: _classes(out[name].float(), batch[name]))  # type: ignore[misc]
    for name, label in (("smile", "smile"), ("eyeglasses", "eyeglasses"), ("auxiliary", "attractive")):
        rules[name] = (name, lambda name=name, label=label: _binary(out[name].float()[:, 0], batch[label]))  # type: ignore[misc]
    rules["facial_hair"] = (
        "facial_hair",
        lambda: _known(batch["facial_hair"], lambda m, t: _cross(out["facial_hair"].float()[m], t).mean(dim=1)),
    )
    return {name: rule() for name, (output, rule) in rules.items() if output in out}


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
