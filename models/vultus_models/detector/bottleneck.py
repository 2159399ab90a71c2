"""ResNet-50 (He et al. 2016) with GroupNorm and the root of ScratchDet (Zhu et al. 2019): the trunk of full SRN.

The root keeps the full resolution for three 3x3 convolutions before anything is thrown away, and nothing is
pretrained: GroupNorm (Wu and He 2018) lets it train from scratch with small batches.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vultus_models.detector.norm import GroupNorm

__all__ = ["BottleneckTrunk", "bottleneck_trunk"]

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
GROWTH = 4
GROUPS = 32


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), GroupNorm(GROUPS, outputs)
    )


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * GROWTH
        self.down, self.middle = _conv(inputs, width, 1), _conv(width, width, 3, stride)
        self.up = _conv(width, outputs, 1)
        self.short = _conv(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.middle(F.relu(self.down(x))))
        return F.relu(self.up(y) + self.short(x))


class BottleneckTrunk(nn.Module):
    """(B, 3, H, W) to maps at strides 4, 8, 16, 32 and as many further halvings as there are more levels."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.root = nn.Sequential(
            _conv(3, 64, 3), nn.ReLU(), _conv(64, 64, 3), nn.ReLU(), _conv(64, 64, 3, 2)
        )
        inputs, stages = 64, []
        for width, count in STAGES:
            blocks = [_Bottleneck(inputs, width, 2)]
            inputs = width * GROWTH
            blocks += [_Bottleneck(inputs, width, 1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        more = levels - len(STAGES)
        self.more = nn.ModuleList(_conv(inputs if k == 0 else 256, 256, 3, 2) for k in range(more))
        self.widths = (*(width * GROWTH for width, _ in STAGES), *(256,) * more)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return one map a level, fine level first."""
        x = F.relu(self.root(x))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        for further in self.more:
            x = F.relu(further(x))
            maps.append(x)
        return maps


def bottleneck_trunk(levels: int) -> BottleneckTrunk:
    """Return the trunk for so many levels, at least four."""
    if levels < len(STAGES):
        raise ValueError(f"ResNet-50 gives {len(STAGES)} levels or more; {levels} were asked for")
    return BottleneckTrunk(levels)
