"""What the detector is punished for.

Scores: quality focal loss (Li et al. 2020), whose target is how well the anchor's own box fits, so that the best
fitting of several boxes wins the suppression. Boxes: distance IoU (Zheng et al. 2020). Points: smooth L1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vultus.decode.anchors import LARGEST_LOG_RATIO, VALUES
from vultus_models.detector.targets import FACE, IGNORED

__all__ = ["boxes_from_values", "detector_loss", "diou", "gathered"]

BOX_WEIGHT, POINT_WEIGHT, EMPTY_WEIGHT = 2.0, 1.5, 1.25
POINT_BEND = 0.25
"""Where the points' loss turns from square to straight: small, for faces are aligned by these points."""


def gathered(maps: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
    """Return the logits (B, N) of all anchors in map order, and the maps as (B, A, 15, H, W)."""
    split = [m.reshape(len(m), -1, VALUES, *m.shape[2:]) for m in maps]
    return torch.cat([m[:, :, 0].flatten(1) for m in split], 1).float(), split


def _picked(split: list[Tensor], picture: Tensor, anchor: Tensor) -> Tensor:
    """Return the 14 values (k, 14) of chosen anchors, without copying whole maps."""
    out = torch.zeros(len(anchor), VALUES - 1)
    start = 0
    for m in split:
        count, rows, columns = m.shape[1], m.shape[3], m.shape[4]
        here = (anchor >= start) & (anchor < start + count * rows * columns)
        i = torch.nonzero(here).squeeze(1)
        local = anchor[i] - start
        cell = local % (rows * columns)
        values = m[picture[i], local // (rows * columns), 1:, cell // columns, cell % columns]
        out = out.index_copy(0, i, values.float())
        start += count * rows * columns
    return out


def boxes_from_values(values: Tensor, anchors: Tensor, variances: tuple[float, float]) -> Tensor:
    """Return boxes (k, 4) in input pixels of box values (k, 4) at anchors (k, 3), differentiably."""
    centre = anchors[:, :2] + values[:, :2] * variances[0] * anchors[:, 2:]
    ratio = (values[:, 2:4] * variances[1]).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
    half = anchors[:, 2:] * ratio.exp() / 2
    return torch.cat([centre - half, centre + half], 1)


def diou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return the IoU (k,) and the distance IoU (k,) of paired boxes (k, 4)."""
    sides = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(0)
    inter = sides.prod(1)
    areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (first, second)]
    iou = inter / (areas[0] + areas[1] - inter).clamp(1e-6)
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    apart = (first[:, :2] + first[:, 2:] - second[:, :2] - second[:, 2:]) / 2
    return iou, iou - apart.square().sum(1) / hull.square().sum(1).clamp(1e-6)


def detector_loss(
    maps: tuple[Tensor, ...], batch: dict[str, Tensor], variances: tuple[float, float]
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and its parts.

    batch: state (B, N), picture (k,) and anchor (k,) of the anchors with a face, anchors (k, 3), boxes (k, 4),
    values (k, 14) with NaN where a point is unknown.
    """
    logits, split = gathered(maps)
    values = _picked(split, batch["picture"], batch["anchor"])
    predicted = boxes_from_values(values[:, :4], batch["anchors"], variances)
    iou, distance = diou(predicted, batch["boxes"])
    quality = iou.detach().clamp(0, 1).sqrt()
    count = max(1.0, float(quality.sum()))
    box = ((1 - distance) * quality).sum() / count
    known = torch.isfinite(batch["values"][:, 4:])
    wanted = torch.where(known, batch["values"][:, 4:], values[:, 4:].detach())
    away = F.smooth_l1_loss(values[:, 4:], wanted, reduction="none", beta=POINT_BEND)
    point = (away * quality[:, None]).sum() / (10 * count)
    score = _score_loss(logits, batch, quality) / count
    total = score + BOX_WEIGHT * box + POINT_WEIGHT * point
    return total, {"score": score.item(), "box": box.item(), "point": point.item()}


def _score_loss(logits: Tensor, batch: dict[str, Tensor], quality: Tensor) -> Tensor:
    target = torch.zeros_like(logits)
    target[batch["picture"], batch["anchor"]] = quality
    off = (logits.detach().sigmoid() - target).abs()
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * off.square()
    weight = torch.where(batch["state"] == FACE, 1.0, EMPTY_WEIGHT) * (batch["state"] != IGNORED)
    return (each * weight).sum()
