"""The losses of the heads; a face counts only in those whose label it has."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from vultus_models.face.group_age import GroupAge

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


def losses(out: dict[str, Tensor], batch: dict[str, Tensor], code: GroupAge) -> dict[str, Tensor]:
    """Return the mean loss of every head over the faces that have its label (0 where none has)."""
    marks = out["landmarks"].float().view(-1, 68, 2)
    age = out["age"].float()
    found = {
        "landmarks": _known(batch["landmarks"], lambda m, t: wing(marks[m] - t).mean(dim=(1, 2))),
        "five": _known(batch["five"], lambda m, t: wing(five_of(marks[m]) - t).mean(dim=(1, 2))),
        "pose": _known(batch["pose"], lambda m, t: _pose(out["pose"].float()[m], t)),
        "age": _known(batch["age"], lambda m, t: code.loss(age[m], t)),
        "attractiveness": _known(batch["attractiveness"], lambda m, t: _percent(out["attractiveness"][m], t)),
    }
    for name in ("gender", "ethnicity", "expression"):
        found[name] = _classes(out[name].float(), batch[name])
    for name, label in (("smile", "smile"), ("eyeglasses", "eyeglasses"), ("auxiliary", "attractive")):
        found[name] = _binary(out[name].float()[:, 0], batch[label])
    found["facial_hair"] = _known(
        batch["facial_hair"], lambda m, t: _cross(out["facial_hair"].float()[m], t).mean(dim=1)
    )
    return found


def _known(target: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the mean of loss(mask, targets) over the faces whose target is not NaN."""
    mask = torch.isfinite(target).reshape(len(target), -1).all(dim=1)
    return loss(mask, target[mask]).mean() if bool(mask.any()) else target.new_zeros(())


def _pose(out: Tensor, target: Tensor) -> Tensor:
    return F.smooth_l1_loss(out, target, reduction="none", beta=0.05).mean(dim=1)


def _percent(out: Tensor, target: Tensor) -> Tensor:
    return F.smooth_l1_loss(out.float()[:, 0].sigmoid(), target, reduction="none", beta=0.1)


def _classes(out: Tensor, target: Tensor) -> Tensor:
    known = target >= 0
    if not bool(known.any()):
        return out.new_zeros(())
    return F.cross_entropy(out[known], target[known], label_smoothing=0.05)


def _cross(out: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(out, target, reduction="none")


def _binary(out: Tensor, target: Tensor) -> Tensor:
    return _known(target, lambda m, t: _cross(out[m], t))
