"""GroupNorm (Wu and He 2018) in operators that every engine has and that sum a whole picture exactly enough.

PyTorch's own form leaves as InstanceNormalization between reshapes, whose sums over a million values differ from engine
to engine by more than a gate allows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["GroupNorm"]


class GroupNorm(nn.GroupNorm):
    """`torch.nn.GroupNorm` while it learns; deployed the same written out, channel by channel first."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, C, H, W), each group of channels with mean 0 and variance 1, scaled and shifted."""
        if self.training:
            return super().forward(x)
        shape = (-1, self.num_groups, self.num_channels // self.num_groups, 1)
        mean = _mean(x)
        spread = _mean((x - mean) * (x - mean)).reshape(shape)
        means = mean.reshape(shape)
        centre = means.mean(2, keepdim=True)
        apart = means - centre
        variance = (spread + apart * apart).mean(2, keepdim=True)
        scale = self.weight.reshape(shape) / torch.sqrt(variance + self.eps)
        shift = self.bias.reshape(shape) - centre * scale
        whole = (-1, self.num_channels, 1, 1)
        return x * scale.reshape(whole) + shift.reshape(whole)


def _mean(x: Tensor) -> Tensor:
    """Return the means (B, C, 1, 1) of maps (B, C, H, W), row by row: short sums keep their bits."""
    return x.mean(3, keepdim=True).mean(2, keepdim=True)
