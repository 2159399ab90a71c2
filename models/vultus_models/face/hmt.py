"""HMT-Net (Xu et al. 2019) at edge size: gender, ethnicity and attractiveness from one trunk, the easy tasks first.

The paper's network is a VGG-like trunk from which the branch of gender leaves first, then that of race, while
attractiveness is judged last and from the deepest map; its loss is the smooth Huber. Here the trunk is one of
plain convolutions and every branch a block and two dense layers. A network of one task is the same path alone, which is
what the joint one is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from vultus_models.face.heads import heads, learnt_outputs
from vultus_models.face.network import STAGES, Block, HeadedNet, reduced, stage

__all__ = ["LEAVES", "HmtNet"]

LEAVES = {"gender": 3, "ethnicity": 4, "attractiveness": 5}
"""After how many stages of the trunk the branch of a task leaves."""

BRANCH = (48, 24)
"""Width of a branch's block, channels that its dense layer reads, where the recipe's `[model] branch` says nothing."""


class HmtNet(HeadedNet):
    """A trunk with branches for the tasks of LEAVES that `[model] heads` of the recipe names.

    The recipe must name them; ValueError says so where it names others or none.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        model = config.get("model", {})
        self.heads = heads(config)
        stages: Sequence[Sequence[int]] = model.get("stages", STAGES)
        self.leaves = _leaves([head.output for head in self.heads], len(stages))
        kept = stages[: max(self.leaves.values())]
        widths = [3, *(width for width, _ in kept)]
        self.stages = nn.ModuleList(stage(inside, *kept[k]) for k, (inside, _) in enumerate(pairwise(widths)))
        side, hidden = int(model.get("side", 112)), int(model.get("embedding", 96))
        shape: Sequence[int] = model.get("branch", BRANCH)
        self.branches = nn.ModuleDict(
            {name: _branch(widths[at], -(-side >> at), shape, hidden) for name, at in self.leaves.items()}
        )
        self.drop: nn.Module = nn.Dropout(float(model.get("dropout", 0.1)))
        self.out = nn.ModuleDict({h.output: nn.Linear(hidden, learnt_outputs(h, config)) for h in self.heads})

    def raw(self, x: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        out = {}
        for done, part in enumerate(self.stages, 1):
            x = part(x)
            for name in (name for name, at in self.leaves.items() if at == done):
                out[name] = self.out[name](self.drop(self.branches[name](x)))
        return out


def _leaves(names: Sequence[str], stages: int) -> dict[str, int]:
    unknown = [name for name in names if name not in LEAVES]
    if unknown or stages < max(LEAVES.values()):
        raise ValueError(
            f"an HMT network of {stages} stages with the tasks {', '.join(names)} cannot be built; expected at least "
            f"{max(LEAVES.values())} stages and tasks of {', '.join(LEAVES)}"
        )
    return {name: LEAVES[name] for name in names}


def _branch(inside: int, side: int, shape: Sequence[int], hidden: int) -> nn.Sequential:
    """Return the way from a map to a vector: down to 7 x 7 at most by a block, then a dense layer."""
    stride, (width, channels) = 2 if side > 7 else 1, shape
    return nn.Sequential(Block(inside, width, stride), reduced(width, channels, -(-side // stride), hidden))
