"""The network of vultus-det: plain 3x3 convolutions, three strides, context by a pyramid.

The stem goes down fast as in FaceBoxes (Zhang et al. 2017): four of five strides lie behind few channels. Context
comes from the coarser level (FPN, Lin et al. 2017) and from two receptive fields a level (RFB, Liu et al. 2018). Each
level gives one raw map; anchors are densified as in FaceBoxes. BatchNorm folds into the convolutions at export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vultus.decode.anchors import VALUES, anchors_per_cell
from vultus.spec import AnchorLevel, DetectorSpec, InputSpec, ModelSpec

__all__ = ["LEVELS", "Detector", "Widths", "network", "spec"]

LEVELS = (
    AnchorLevel("faces8", 8, (10.0, 20.0), (2, 1)),
    AnchorLevel("faces16", 16, (40.0, 80.0), (1, 1)),
    AnchorLevel("faces32", 32, (160.0, 320.0), (1, 1)),
)

LICENCE = (
    "weights for research and non-commercial use, by the terms of the pictures that they were trained on"
)


@dataclass(frozen=True)
class Widths:
    """Channels: stem at strides 2 and 4, trunk at 8, 16 and 32, pyramid; blocks: residual blocks a stride.

    A trunk level as wide as the pyramid enters it as it is.
    """

    stem: tuple[int, int] = (8, 16)
    trunk: tuple[int, int, int] = (32, 48, 64)
    pyramid: int = 32
    blocks: tuple[int, int, int] = (0, 2, 2)


class _Conv(nn.Sequential):
    """Convolution, BatchNorm and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        pad = (kernel - stride) // 2 if stride == kernel else kernel // 2
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, pad, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class _Block(nn.Module):
    """Residual block through half the channels: 1x1 down, 3x3 up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = _Conv(channels, channels // 2, 1)
        self.up = nn.Conv2d(channels // 2, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.up(self.down(x))))


class _Head(nn.Module):
    """Two receptive fields side by side, then one 1x1 convolution to all values of all anchors."""

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.near = _Conv(channels, channels // 2, 1)
        self.wide = _Conv(channels // 2, channels // 2, 3)
        self.values = nn.Conv2d(channels, anchors * VALUES, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.near(x)
        out: Tensor = self.values(torch.cat([near, self.wide(near)], 1))
        return out


class Detector(nn.Module):
    """(B, 3, H, W), sides multiples of 32, to one raw map a level: (B, anchors * 15, H / stride, W / stride)."""

    def __init__(self, widths: Widths, levels: tuple[AnchorLevel, ...] = LEVELS) -> None:
        super().__init__()
        two, four = widths.stem
        self.stem = nn.Sequential(_Conv(3, two, 3, 2), _Conv(two, four, 2, 2))
        inputs = (four, *widths.trunk[:2])
        self.stages = nn.ModuleList(
            nn.Sequential(_Conv(a, b, 3, 2), *(_Block(b) for _ in range(count)))
            for a, b, count in zip(inputs, widths.trunk, widths.blocks, strict=True)
        )
        self.sides = nn.ModuleList(
            nn.Identity() if width == widths.pyramid else _Conv(width, widths.pyramid, 1)
            for width in widths.trunk
        )
        self.heads = nn.ModuleList(_Head(widths.pyramid, anchors_per_cell(level)) for level in levels)
        self._start()

    def _start(self) -> None:
        """Draw the weights; every score starts at 1 % so that the many empty anchors do not drown the few faces."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for head in self.heads:
            values = head.values
            assert isinstance(values, nn.Conv2d)
            nn.init.normal_(values.weight, std=0.01)
            assert values.bias is not None
            nn.init.zeros_(values.bias)
            with torch.no_grad():
                values.bias[::VALUES] = -4.6

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the raw maps, fine level first."""
        maps = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        pyramid = [side(m) for side, m in zip(self.sides, maps, strict=True)]
        for fine in (1, 0):
            pyramid[fine] = pyramid[fine] + F.interpolate(pyramid[fine + 1], scale_factor=2.0, mode="nearest")
        return tuple(head(m) for head, m in zip(self.heads, pyramid, strict=True))


def network(config: dict[str, Any]) -> Detector:
    """Build the bare network of a recipe; its `[model]` table holds the fields of Widths that differ."""
    table: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in config.get("model", {}).items() if k != "kind"
    }
    return Detector(Widths(**table))


def spec(config: dict[str, Any]) -> ModelSpec:
    """Return the contract of the recipe's model."""
    return ModelSpec(
        name=config.get("name", "vultus-det-s"),
        version=config.get("version", "0.1.0"),
        task="detector",
        input=InputSpec("image", 640, 480, multiple=32),
        # Without a word of the recipe: the least score at which 98 % of the boxes on the validation crowds are faces.
        detector=DetectorSpec("anchors", LEVELS, min_score=config.get("min_score", 0.65)),
        licence=LICENCE,
        description="Finds faces from about 8 pixels up, with five points each.",
    )
