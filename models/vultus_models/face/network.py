"""The network: a trunk of plain 3x3 convolutions and light heads on one aligned crop.

Blocks that keep their shape add their input before the activation. In RepVGG (Ding et al. 2021) such a skip is
part of the kernel; `fold` does that here and takes the batch norms in too, so the exported trunk is nothing but
3x3 convolutions and ReLUs.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vultus.spec import Head
from vultus_models.face.ages import AgeForm
from vultus_models.face.balance import Balance
from vultus_models.face.crnet import extra_outputs
from vultus_models.face.heads import heads, learnt_outputs
from vultus_models.face.marks import Marks

__all__ = ["Block", "FaceNet", "HeadedNet", "embedded", "fold", "network", "reduced", "stage"]

STAGES = ((16, 1), (32, 2), (64, 3), (96, 2), (160, 1))
"""Width and number of blocks of each stage; the first block of every stage halves the side."""

TURNED = 64
"""Width of the vector that the pose is read from."""

REDUCED = 64
"""Most channels of the map that the embedding is read from."""


class Block(nn.Module):
    """A 3x3 convolution with batch norm, its input added where the shape stays, then ReLU."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outside)
        self.skip = inside == outside and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map (n, outside, height / stride, width / stride)."""
        y: Tensor = self.norm(self.conv(x))
        return torch.relu(x + y if self.skip else y)


class HeadedNet(nn.Module, ABC):
    """A network with the heads of the FACE record. `forward` gives the outputs as a tuple in their order.

    balance: what weighs the losses against each other, where that is learnt.
    """

    heads: tuple[Head, ...]
    training_only = ("auxiliary.", "extra.", "balance.")
    """How the names of weights begin that no model file has."""

    def __init__(self) -> None:
        super().__init__()
        self.balance: Balance | None = None

    @abstractmethod
    def raw(self, x: Tensor) -> dict[str, Tensor]:
        """Return everything that the losses read by name, also what only the training needs."""

    def written(self, out: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs as the runtime reads them."""
        return out

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of crops (n, 3, side, side) in the order of the heads."""
        out = self.written(self.raw(x))
        return tuple(out[head.output] for head in self.heads)


class FaceNet(HeadedNet):
    """Trunk and heads.

    Landmarks are read from the 14x14 and the 7x7 map and pose from the latter, where places are still told apart; the
    attributes from an embedding of the 4x4 map. `auxiliary` is a head that only the training uses.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        model = config.get("model", {})
        stages: Sequence[Sequence[int]] = model.get("stages", STAGES)
        turn, embedding = int(model.get("turn", 12)), int(model.get("embedding", 160))
        widths = [3, *(width for width, _ in stages)]
        self.heads = heads(config)
        self.stages = nn.ModuleList(
            stage(widths[k], width, blocks) for k, (width, blocks) in enumerate(stages)
        )
        side = int(model.get("side", 112)) >> (len(stages) - 1)
        marks = next((h for h in self.heads if h.output == "landmarks"), None)
        channels = int(model.get("marks", 48))
        self.marks = Marks(widths[-3:-1], 2 * side, channels, marks.count) if marks else None
        posed = any(h.output == "pose" for h in self.heads)
        self.turn = reduced(widths[-2], turn, side, TURNED) if posed else None
        self.embedding = reduced(widths[-1], min(REDUCED, widths[-1]), (side + 1) // 2, embedding)
        self.drop: nn.Module = nn.Dropout(float(model.get("dropout", 0.1)))
        self.out = nn.ModuleDict(
            {
                h.output: nn.Linear(TURNED if h.output == "pose" else embedding, learnt_outputs(h, config))
                for h in self.heads
                if h is not marks
            }
        )
        self.auxiliary = nn.Linear(embedding, 1)
        self.extra = nn.ModuleDict(
            {name: nn.Linear(embedding, width) for name, width in extra_outputs(config).items()}
        )
        self.age_form = AgeForm(config)

    def raw(self, x: Tensor) -> dict[str, Tensor]:
        """Return every output by name, with the training's auxiliary one."""
        for stage in self.stages[:-1]:
            fine, x = x, stage(x)
        features = self.drop(self.embedding(self.stages[-1](x)))
        seen = {"pose": self.turn(x)} if self.turn else {}
        out = {name: head(seen.get(name, features)) for name, head in self.out.items()}
        out |= {"landmarks": self.marks(fine, x)} if self.marks else {}
        out |= {name: head(features) for name, head in self.extra.items()}
        return {**out, "auxiliary": self.auxiliary(features)}

    def written(self, out: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs with the age in the code that the runtime reads."""
        return {**out, "age": self.age_form(out["age"])} if "age" in out else out


@torch.no_grad()
def embedded(model: FaceNet, crops: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the embeddings (n, d) of normalised crops (n, 3, side, side) and the model's outputs."""
    seen: list[Tensor] = []
    hook = model.embedding.register_forward_hook(lambda module, given, out: seen.append(out))
    try:
        outputs: tuple[Tensor, ...] = model(crops)
    finally:
        hook.remove()
    return seen[0], outputs


def stage(inside: int, outside: int, blocks: int) -> nn.Sequential:
    """Return a stage of the trunk: blocks of one width, of which the first halves the side."""
    rest = (Block(outside, outside, 1) for _ in range(blocks - 1))
    return nn.Sequential(Block(inside, outside, 2), *rest)


def reduced(inside: int, channels: int, side: int, outside: int) -> nn.Sequential:
    """Return a map to vector step that keeps the places: fewer channels, then one dense layer."""
    return nn.Sequential(
        nn.Conv2d(inside, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * side * side, outside),
        nn.ReLU(),
    )


def network(config: dict[str, Any]) -> FaceNet:
    """Build the network of a recipe, untrained."""
    return FaceNet(config)


Net = TypeVar("Net", bound=HeadedNet)


def fold(trained: Net) -> Net:
    """Return a copy for inference: batch norms and skips inside the kernels, dropout gone."""
    net = copy.deepcopy(trained).eval()
    for name, part in list(net.named_children()):
        if isinstance(part, nn.Dropout):
            setattr(net, name, nn.Identity())
    for block in [module for module in net.modules() if isinstance(module, Block)]:
        block.conv = _folded(block.conv, block.norm)
        if block.skip:
            nn.init.dirac_(identity := torch.empty_like(block.conv.weight))
            block.conv.weight.data += identity
        block.norm, block.skip = nn.Identity(), False
    for part in [module for module in net.modules() if _is_normed(module)]:
        part[0], part[1] = _folded(part[0], part[1]), nn.Identity()  # type: ignore[index,operator]
    return net


def _is_normed(module: nn.Module) -> bool:
    kinds = [type(part) for part in module.children()][:2]
    return isinstance(module, nn.Sequential) and kinds == [nn.Conv2d, nn.BatchNorm2d]


def _folded(conv: nn.Module, norm: nn.Module) -> nn.Conv2d:
    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
        return fuse_conv_bn_eval(conv, norm)
    raise ValueError(
        f"only a convolution and its batch norm fold; these are {conv} and {norm}: folded before?"
    )
