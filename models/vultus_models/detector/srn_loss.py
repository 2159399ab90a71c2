"""What SRN is punished for: both steps, each only where it is taken (Chi et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vultus.decode.anchors import VALUES
from vultus_models.detector.loss import boxes_from_values, detector_loss, diou
from vultus_models.detector.srn import SURELY_EMPTY, Steps
from vultus_models.detector.targets import EMPTY, FACE, IGNORED

__all__ = ["selective_loss"]

FIRST_BOX_WEIGHT = 1.0


def selective_loss(
    steps: Steps, batch: dict[str, Tensor], variances: tuple[float, float]
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and its parts; `batch` is that of `detector_loss`.

    The second score does not learn from empty anchors that the first one drops. First scores are told face from
    not face, first boxes learn the face of their anchor.
    """
    state = batch["state"].clone()
    faces = max(1, len(batch["anchor"]))
    first_score, first_box, start = steps.maps[0].new_zeros(()), steps.maps[0].new_zeros(()), 0
    for values, logit, box in zip(steps.maps, steps.logits, steps.boxes, strict=True):
        span = slice(start, start + values[0].numel() // VALUES)
        if logit is not None:
            flat = logit.float().flatten(1)
            first_score = first_score + _score_loss(flat, batch["state"][:, span])
            dropped = (flat.detach().sigmoid() < SURELY_EMPTY) & (state[:, span] == EMPTY)
            state[:, span][dropped] = IGNORED
        if box is not None:
            first_box = first_box + _box_loss(box.float(), batch, span, variances)
        start = span.stop
    total, parts = detector_loss(steps.maps, {**batch, "state": state}, variances)
    first_score, first_box = first_score / faces, first_box / faces
    parts |= {"first_score": first_score.item(), "first_box": first_box.item()}
    return total + first_score + FIRST_BOX_WEIGHT * first_box, parts


def _score_loss(logits: Tensor, state: Tensor) -> Tensor:
    """Return the focal loss (Lin et al. 2017) of first scores (B, n), summed."""
    target = (state == FACE).float()
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (each * (logits.detach().sigmoid() - target).square() * (state != IGNORED)).sum()


def _box_loss(boxes: Tensor, batch: dict[str, Tensor], span: slice, variances: tuple[float, float]) -> Tensor:
    """Return the distance-IoU loss of the first boxes (B, A * 4, H, W) of a level, summed over its face anchors."""
    here = torch.nonzero((batch["anchor"] >= span.start) & (batch["anchor"] < span.stop)).squeeze(1)
    batch_size, _, *sides = boxes.shape
    flat = boxes.reshape(batch_size, -1, 4, *sides).permute(0, 1, 3, 4, 2).flatten(1, 3)
    values = flat[batch["picture"][here], batch["anchor"][here] - span.start]
    predicted = boxes_from_values(values, batch["anchors"][here], variances)
    return (1 - diou(predicted, batch["boxes"][here])[1]).sum()
