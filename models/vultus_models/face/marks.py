"""Landmarks as centres of mass of heat maps (integral regression, Sun et al. 2018), read from two maps of the trunk.

A dense layer has to learn anew at every place how far it is from there to a landmark; a heat map is the same question
at every place, so it takes less data and fewer weights to place a landmark to a fraction of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Marks"]

SHARPNESS = 4.0
"""Gain of the heat before its softmax, so that maps get sharp at the rate at which everything else is learnt."""


class Marks(nn.Module):
    """Heat maps at the side of the finer of two maps, of which the coarser has half the side.

    widths: channels of the finer and of the coarser map. side: of the finer. channels: of what the heat is read from.
    """

    places: Tensor

    def __init__(self, widths: Sequence[int], side: int, channels: int, count: int) -> None:
        super().__init__()
        self.fine, self.coarse = (_normed(width, channels, 1) for width in widths)
        self.mix = _normed(channels, channels, 3)
        self.heat = nn.Conv2d(channels, count, 1)
        centres = (torch.arange(side) + 0.5) / side - 0.5
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("places", torch.stack([x, y], dim=-1).reshape(-1, 2), persistent=False)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return places (n, 2 * count) as x, y from the crop's centre in shares of its side.

        fine, coarse: (n, channels, side, side) and (n, channels, side / 2, side / 2).
        """
        both = self.fine(fine) + F.interpolate(self.coarse(coarse), scale_factor=2.0, mode="nearest")
        heat = self.heat(torch.relu(self.mix(torch.relu(both))))
        share = (SHARPNESS * heat.float()).flatten(2).softmax(dim=2)
        return torch.matmul(share, self.places).flatten(1)


def _normed(inside: int, outside: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outside)
    )
