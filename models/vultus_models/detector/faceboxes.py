"""FaceBoxes (Zhang et al. 2017) after its paper: rapidly digested layers, multiple scales, densified anchors.

The digested layers go down to stride 32 in four steps, with CReLU (Shang et al. 2016) making two channels of every
one; three Inception blocks then give several receptive fields to one map, where 32, 64 and 128 px anchors lie 16, 4
and 1 to a cell. Beyond the paper, five points are read beside every box.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vultus.decode.anchors import VALUES, anchors_per_cell
from vultus.spec import AnchorLevel, ModelSpec
from vultus_models.detector import network as plain

__all__ = ["LEVELS", "FaceBoxes", "network", "spec"]

LEVELS = (
    AnchorLevel("faces32", 32, (32.0, 64.0, 128.0), (4, 2, 1)),
    AnchorLevel("faces64", 64, (256.0,), (1,)),
    AnchorLevel("faces128", 128, (512.0,), (1,)),
)


class _Conv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class _Doubled(nn.Module):
    """Convolution, BatchNorm and CReLU: (B, n, H, W) to 2 n' channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.relu(torch.cat([x, -x], 1))


class _Inception(nn.Module):
    """Four receptive fields of 32 channels each, side by side."""

    def __init__(self, channels: int = 128) -> None:
        super().__init__()
        self.one = _Conv(channels, 32, 1)
        self.pooled = _Conv(channels, 32, 1)
        self.three = nn.Sequential(_Conv(channels, 24, 1), _Conv(24, 32, 3))
        self.five = nn.Sequential(_Conv(channels, 24, 1), _Conv(24, 32, 3), _Conv(32, 32, 3))

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pooled(F.avg_pool2d(x, 3, 1, 1))
        return torch.cat([self.one(x), pooled, self.three(x), self.five(x)], 1)


class FaceBoxes(nn.Module):
    """(B, 3, H, W), sides multiples of 128, to raw maps (B, anchors * 15, H / stride, W / stride), fine level first."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = nn.Sequential(
            _Doubled(3, 24, 7, 4),
            nn.MaxPool2d(3, 2, 1),
            _Doubled(48, 64, 5, 2),
            nn.MaxPool2d(3, 2, 1),
        )
        self.inception = nn.Sequential(_Inception(), _Inception(), _Inception())
        self.further = nn.ModuleList(
            nn.Sequential(_Conv(inputs, 128, 1), _Conv(128, 256, 3, 2)) for inputs in (128, 256)
        )
        self.heads = nn.ModuleList(
            nn.Conv2d(inputs, anchors_per_cell(level) * VALUES, 3, 1, 1)
            for inputs, level in zip((128, 256, 256), LEVELS, strict=True)
        )
        self._start()

    def _start(self) -> None:
        """Draw the weights as the paper does (Xavier); every score starts at 1 %."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)
        for head in self.heads:
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            with torch.no_grad():
                head.bias[::VALUES] = -4.6

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the raw maps."""
        maps = [self.inception(self.digest(x))]
        for step in self.further:
            maps.append(step(maps[-1]))
        return tuple(head(m) for head, m in zip(self.heads, maps, strict=True))


def network(config: dict[str, Any]) -> FaceBoxes:
    """Build the bare network; the paper leaves nothing to choose."""
    return FaceBoxes()


def spec(config: dict[str, Any]) -> ModelSpec:
    """Return the contract of the recipe's model."""
    base = plain.spec(config)
    assert base.detector is not None
    return replace(
        base,
        input=replace(base.input, width=1024, height=768, multiple=128, enlarge=4.0),
        detector=replace(base.detector, levels=LEVELS, min_score=config.get("min_score", 0.5)),
        description="FaceBoxes after its paper, with five points each: faces from about 20 pixels of its input up.",
    )
