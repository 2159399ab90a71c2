"""Tiny PyTorch networks from seeds, with their specs: what the export tests export."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vultus.spec import AnchorLevel, DetectorSpec, Head, InputSpec, ModelSpec
from vultus.types import EXPRESSIONS, GENDERS

FACE = ModelSpec(
    name="small-face",
    version="1.0.0",
    task="face",
    input=InputSpec("image", 32, 32),
    heads=(
        Head("points", "landmarks", "landmarks", count=68),
        Head("age", "group_age", "age", count=20, group=3),
        Head("gender", "softmax", "gender", GENDERS),
        Head("expression", "softmax", "expression", EXPRESSIONS),
        Head("smile", "percent", "smile"),
    ),
    licence="Apache-2.0",
)
WIDTHS = {"points": 136, "age": 22, "gender": 2, "expression": 7, "smile": 1}

DETECTOR = ModelSpec(
    name="small-detector",
    version="1.0.0",
    task="detector",
    input=InputSpec("image", 96, 64, multiple=16),
    detector=DetectorSpec(
        "anchors", (AnchorLevel("fine", 8, (16.0, 24.0), (2, 1)), AnchorLevel("coarse", 16, (48.0,), (1,)))
    ),
    licence="Apache-2.0",
)

RAW = ModelSpec(
    name="raw",
    version="1",
    task="face",
    input=InputSpec("x", 4, 4),
    heads=(Head("y", "percent", "smile"),),
)
"""For graphs that are no networks: the name of their input is all that matters."""


class Cell(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inside: int, outside: int, stride: int = 2) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
        )


class SmallFace(nn.Module):
    """Gives a mapping with one output more than its spec names; one batch norm follows no convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(Cell(3, 8), Cell(8, 16))
        self.norm = nn.BatchNorm2d(16)
        self.flat = nn.BatchNorm1d(16)
        self.heads = nn.ModuleDict({name: nn.Linear(16, width) for name, width in WIDTHS.items()})
        self.auxiliary = nn.Linear(16, 4)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features = self.flat(self.norm(self.trunk(image)).mean((2, 3)))
        outputs = {name: head(features) for name, head in self.heads.items()}
        return {**outputs, "auxiliary": self.auxiliary(features)}


class SmallDetector(nn.Module):
    """Gives a tuple of two maps through a pyramid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Cell(3, 8), Cell(8, 8), Cell(8, 16))
        self.deep = Cell(16, 16)
        self.fine = nn.Conv2d(16, 5 * 15, 1)
        self.coarse = nn.Conv2d(16, 15, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        near = self.stem(image)
        far = self.deep(near)
        return self.fine(near + F.interpolate(far, scale_factor=2.0, mode="nearest")), self.coarse(far)


def seeded(network: nn.Module, seed: int = 3) -> nn.Module:
    """Return the network in eval mode with weights and statistics drawn from the seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                drawn = torch.rand(value.shape, generator=generator)
                spread = (0.5, 1.5) if name.endswith("running_var") else (-0.3, 0.3)
                value.copy_(spread[0] + drawn * (spread[1] - spread[0]))
    return network.eval()


def make_face() -> nn.Module:
    """Return the seeded face network; a factory as a user would write it."""
    return seeded(SmallFace())


def make_detector() -> nn.Module:
    """Return the seeded detector."""
    return seeded(SmallDetector())


def with_precision(spec: ModelSpec, precision: str) -> ModelSpec:
    """Return the spec of the same network at another precision."""
    return replace(spec, precision=precision)
