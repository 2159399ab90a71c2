"""SRN: selective two-step classification and regression (Chi et al. 2019, improved by Zhang et al. 2019).

Selective two-step classification (STC): on the fine levels a first score, read before the pyramid mixes levels,
drops the anchors that are clearly empty; the second score only learns and decides the rest. Selective two-step
regression (STR): on the coarse levels a first box moves the anchor, the second starts from the moved anchor.
Both steps are joined in the graph, so what leaves it are raw maps like those of any anchor detector. As in the
improved version every norm is a GroupNorm and the stem does not go down at once.

Two sizes: "lite", the trunk of vultus-det-s, and "full", ResNet-50 with six levels, which exports and runs; nobody
here trained it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vultus.decode.anchors import LARGEST_LOG_RATIO, VALUES, anchors_per_cell
from vultus.spec import AnchorLevel, ModelSpec
from vultus_models.detector import network as plain
from vultus_models.detector.bottleneck import bottleneck_trunk
from vultus_models.detector.norm import GroupNorm

__all__ = ["FULL", "LITE", "Plan", "SelectiveDetector", "Steps", "network", "plan_of", "spec"]

SURELY_EMPTY = 0.01
"""First scores below this drop an anchor: the paper's 0.99 of being background."""

STEEP = 4.0
"""How steeply the first score takes the second along: their cap falls by so much a unit of the first logit.

The paper drops anchors at a threshold; a slope does the same and lets no rounding turn a face into nothing.
"""


@dataclass(frozen=True)
class Plan:
    """A size of SRN. classify, regress: how many levels, from the finest and from the coarsest, take two steps.

    trunk: "lite", or "full" for ResNet-50. pyramid: channels of every level of the pyramid.
    """

    levels: tuple[AnchorLevel, ...]
    classify: int
    regress: int
    trunk: str = "lite"
    pyramid: int = 32
    variances: tuple[float, float] = (0.1, 0.2)


LITE = Plan(plain.LEVELS, classify=1, regress=2)
FULL = Plan(
    tuple(AnchorLevel(f"faces{s}", s, (2.0 * s, 2.0 * 2**0.5 * s), (1, 1)) for s in (4, 8, 16, 32, 64, 128)),
    classify=3,
    regress=3,
    trunk="full",
    pyramid=256,
)


@dataclass(frozen=True)
class Steps:
    """Both steps of every level, fine level first. maps: joined raw maps (B, A * 15, H, W).

    logits: first scores (B, A, H, W), and boxes: first box values (B, A * 4, H, W); None where a level takes one step.
    """

    maps: tuple[Tensor, ...]
    logits: tuple[Tensor | None, ...]
    boxes: tuple[Tensor | None, ...]


class _Conv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            GroupNorm(_groups(outputs), outputs),
            nn.ReLU(inplace=True),
        )


def _groups(channels: int) -> int:
    """Return how many groups to norm in: 16 channels each, as far as that divides."""
    return max(1, channels // 16)


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = _Conv(channels, channels // 2, 1)
        self.up = nn.Conv2d(channels // 2, channels, 3, 1, 1, bias=False)
        self.norm = GroupNorm(_groups(channels), channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.up(self.down(x))))


class _LiteTrunk(nn.Module):
    """vultus-det-s with a stem that looks at full resolution first; maps at strides 8, 16 and 32."""

    widths = (32, 48, 64)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_Conv(3, 4), _Conv(4, 8, 3, 2), _Conv(8, 16, 3, 2))
        self.stages = nn.ModuleList(
            nn.Sequential(_Conv(a, b, 3, 2), *(_Block(b) for _ in range(count)))
            for a, b, count in ((16, 32, 0), (32, 48, 2), (48, 64, 2))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


class _Enhanced(nn.Module):
    """Receptive field enhancement: square and long fields side by side, joined and added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        part = max(4, channels // 4)
        shapes = ((1, 3), (3, 1), (1, 5), (5, 1))
        self.branches = nn.ModuleList(
            nn.Sequential(
                _Conv(channels, part, 1),
                nn.Conv2d(part, part, shape, padding=(shape[0] // 2, shape[1] // 2)),
                nn.ReLU(inplace=True),
            )
            for shape in shapes
        )
        self.join = nn.Conv2d(4 * part, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.join(torch.cat([branch(x) for branch in self.branches], 1)))


class SelectiveDetector(nn.Module):
    """(B, 3, H, W), sides multiples of the coarsest stride, to one raw map a level, as `network.Detector` gives."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.trunk: Any = _LiteTrunk() if plan.trunk == "lite" else bottleneck_trunk(len(plan.levels))
        counts, width = [anchors_per_cell(level) for level in plan.levels], plan.pyramid
        self.sides = nn.ModuleList(_Conv(inputs, width, 1) for inputs in self.trunk.widths)
        self.enhance = nn.ModuleList(_Enhanced(width) for _ in counts)
        self.values = nn.ModuleList(nn.Conv2d(width, count * VALUES, 1) for count in counts)
        coarse = len(counts) - plan.regress
        self.first_score = nn.ModuleList(nn.Conv2d(width, count, 1) for count in counts[: plan.classify])
        self.first_box = nn.ModuleList(nn.Conv2d(width, 4 * count, 1) for count in counts[coarse:])
        self._start()

    def _start(self) -> None:
        """Draw the weights; second scores start at 1 %, first ones at 2 %, above what drops an anchor."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for head in (*self.values, *self.first_score, *self.first_box):
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            for head in self.values:
                head.bias[::VALUES] = -4.6  # type: ignore[operator]
            for head in self.first_score:
                head.bias.fill_(-4.0)  # type: ignore[operator]

    def steps(self, x: Tensor) -> Steps:
        """Return the joined maps with the first steps that went into them."""
        sides = [side(m) for side, m in zip(self.sides, self.trunk(x), strict=True)]
        pyramid = list(sides)
        for fine in range(len(sides) - 2, -1, -1):
            pyramid[fine] = sides[fine] + F.interpolate(pyramid[fine + 1], scale_factor=2.0, mode="nearest")
        second = [head(rfe(m)) for m, rfe, head in zip(pyramid, self.enhance, self.values, strict=True)]
        coarse = len(sides) - self.plan.regress
        logits: list[Tensor | None] = [None] * len(sides)
        boxes: list[Tensor | None] = [None] * len(sides)
        for k, head in enumerate(self.first_score):
            logits[k] = head(sides[k])
        for k, head in enumerate(self.first_box, coarse):
            boxes[k] = head(sides[k])
        maps = tuple(
            self._joined(values, logit, box) for values, logit, box in zip(second, logits, boxes, strict=True)
        )
        return Steps(maps, tuple(logits), tuple(boxes))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the joined raw maps, fine level first."""
        return self.steps(x).maps

    def _joined(self, values: Tensor, logit: Tensor | None, box: Tensor | None) -> Tensor:
        """Join both steps of a level into one raw map (B, A * 15, H, W); only the second step learns from it.

        Deployed, a score is at most a half where the first step just drops the anchor, and falls steeply below.
        """
        parts: list[Tensor] = []
        for anchor, first in enumerate(range(0, values.shape[1], VALUES)):
            score, offsets = values[:, first : first + 1], values[:, first + 1 : first + 5]
            if logit is not None and not self.training:
                cap = STEEP * (logit[:, anchor : anchor + 1] - math.log(SURELY_EMPTY / (1 - SURELY_EMPTY)))
                score = torch.minimum(score, cap)
            if box is not None:
                start = box[:, 4 * anchor : 4 * anchor + 4].detach()
                offsets = _moved(start, offsets, self.plan.variances[1])
            parts += [score, offsets, values[:, first + 5 : first + VALUES]]
        return torch.cat(parts, 1)


def _moved(first: Tensor, second: Tensor, variance: float) -> Tensor:
    """Return the box values (B, 4, H, W) about the anchor of a second step that starts from the first step's box.

    The second centre moves by shares of the first box's sides, and logarithms of sides add up.
    """
    sides = (first[:, 2:] * variance).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()
    return torch.cat([first[:, :2] + second[:, :2] * sides, first[:, 2:] + second[:, 2:]], 1)


def plan_of(config: dict[str, Any]) -> Plan:
    """Return the plan of a recipe: `[model] size = "lite" | "full"`, and `classify` and `regress` where they differ."""
    model = config.get("model", {})
    sizes = {"lite": LITE, "full": FULL}
    size = model.get("size", "lite")
    if size not in sizes:
        raise ValueError(f"SRN of size {size!r} is unknown; expected one of {', '.join(sizes)}")
    base = sizes[size]
    return replace(
        base,
        classify=int(model.get("classify", base.classify)),
        regress=int(model.get("regress", base.regress)),
    )


def network(config: dict[str, Any]) -> SelectiveDetector:
    """Build the bare network of a recipe."""
    return SelectiveDetector(plan_of(config))


def spec(config: dict[str, Any]) -> ModelSpec:
    """Return the contract of the recipe's model."""
    levels, base = plan_of(config).levels, plain.spec(config)
    assert base.detector is not None
    multiple = levels[-1].stride
    height = -(-base.input.height // multiple) * multiple
    return replace(
        base,
        input=replace(base.input, height=height, multiple=multiple),
        detector=replace(base.detector, levels=levels, min_score=config.get("min_score", 0.5)),
        description="Finds faces with five points each: selective refinement, two steps where they help.",
    )
