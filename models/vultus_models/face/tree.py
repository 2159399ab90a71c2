"""TreeCNN (2019) at edge size: a global multi-task network and light networks on parts of the face, which it joins.

The landmarks that the global network finds say where eyes, nose and mouth are. Each part is cut out of the same
aligned crop inside the graph, so the file has one input, and judged by a small network of its own. The expression is
the mean of what the four say or, as in the paper, what most of them say; among equals the mean decides. No gradient
passes from the parts to the global network, so that is the network that would be trained without them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vultus.geometry import FACE_TEMPLATE
from vultus_models.face.heads import outputs_of
from vultus_models.face.losses import REGIONS
from vultus_models.face.network import FaceNet, stage

__all__ = ["PARTS", "VOTES", "Cutter", "Part", "TreeNet", "majority", "mean_of"]


class Part(NamedTuple):
    """A part of the face: its landmarks, its usual centre and its size as shares of the crop's side, its pixels.

    x, y: from the middle of the crop. rows, columns: of the picture that its network sees.
    """

    marks: tuple[int, ...]
    x: float
    y: float
    width: float
    height: float
    rows: int
    columns: int


_EYES, _NOSE, _MOUTH = ((FACE_TEMPLATE[part].mean(axis=0) - 0.5).tolist() for part in ([0, 1], [2], [3, 4]))

PARTS = {
    "eyes": Part((*range(17, 27), *range(36, 48)), _EYES[0], _EYES[1] - 0.04, 0.60, 0.30, 24, 48),
    "nose": Part(tuple(range(27, 36)), _NOSE[0], _NOSE[1] - 0.06, 0.34, 0.34, 24, 24),
    "mouth": Part(tuple(range(48, 68)), _MOUTH[0], _MOUTH[1], 0.44, 0.33, 24, 32),
}
REACH = 0.15
"""How far from its usual place a part may be, as a share of the side: what lies beyond is a landmark gone astray."""

STAGES = ((16, 1), (32, 1), (64, 1))


class Cutter(nn.Module):
    """Cuts one part of the face out of crops, around its landmarks."""

    offsets: Tensor
    place: Tensor
    middle: Tensor

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part
        lines = [
            ((torch.arange(count) + 0.5) / count - 0.5) * size
            for count, size in ((part.rows, part.height), (part.columns, part.width))
        ]
        y, x = torch.meshgrid(*lines, indexing="ij")
        self.register_buffer("offsets", torch.stack([x, y], dim=-1)[None], persistent=False)
        self.register_buffer("place", torch.tensor([[part.x, part.y]]), persistent=False)
        share = torch.zeros(68)
        share[list(part.marks)] = 1 / len(part.marks)
        # The mean of the part's landmarks as a product, which every engine has; a gather of rows not all have.
        self.register_buffer(
            "middle", torch.einsum("i,jk->ijk", share, torch.eye(2)).flatten(0, 1), persistent=False
        )

    def forward(self, x: Tensor, landmarks: Tensor) -> Tensor:
        """Return the parts (n, 3, rows, columns) of crops (n, 3, side, side) with landmarks (n, 68, 2)."""
        centre = landmarks.flatten(1) @ self.middle
        centre = self.place + (centre - self.place).clamp(-REACH, REACH)
        where = 2 * (centre[:, None, None] + self.offsets)  # a grid counts half a side as 1
        return F.grid_sample(x.float(), where, mode="bilinear", padding_mode="border", align_corners=False)


class TreeNet(FaceNet):
    """The global network and the parts'; `[model] vote` is majority, mean, or global for the global one alone."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        model = config.get("model", {})
        given = {head.output: head for head in self.heads}
        if not {"landmarks", "expression"} <= given.keys():
            raise ValueError(
                f"a tree needs the heads landmarks and expression; it was given {', '.join(given)}"
            )
        self.vote = str(model.get("vote", "majority"))
        if self.vote not in VOTES:
            raise ValueError(f"vote {self.vote!r} is unknown; expected one of {', '.join(VOTES)}")
        classes, dropout = outputs_of(given["expression"]), float(model.get("dropout", 0.1))
        self.cut = nn.ModuleDict({name: Cutter(PARTS[name]) for name in REGIONS})
        self.parts = nn.ModuleDict({name: _part(PARTS[name], classes, dropout) for name in REGIONS})

    def raw(self, x: Tensor) -> dict[str, Tensor]:
        """Return every output by name, with what each part says of the expression."""
        out = super().raw(x)
        marks = out["landmarks"].detach().float().view(-1, 68, 2)
        return out | {name: self.parts[name](self.cut[name](x, marks)) for name in REGIONS}

    def written(self, out: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs with the expression that the four networks agree on."""
        voters = torch.stack([out[name].float() for name in ("expression", *REGIONS)])
        return super().written({**out, "expression": VOTES[self.vote](voters)})


def _part(part: Part, classes: int, dropout: float) -> nn.Sequential:
    widths = [3, *(width for width, _ in STAGES)]
    trunk = [stage(widths[k], width, blocks) for k, (width, blocks) in enumerate(STAGES)]
    step = 1 << len(STAGES)
    dense = nn.Linear(widths[-1] * (part.rows // step) * (part.columns // step), classes)
    return nn.Sequential(*trunk, nn.Flatten(), nn.Dropout(dropout), dense)


def majority(logits: Tensor) -> Tensor:
    """Return logits (n, k) whose softmax ranks classes by the votes of voters (v, n, k), then by their mean.

    The shares are (votes + mean probability) / (v + 1): a vote more always outweighs the mean.
    """
    count, _, classes = logits.shape
    shares = logits.softmax(dim=2).mean(dim=0)
    chosen = logits.argmax(dim=2)[..., None] == torch.arange(classes, device=logits.device)
    return ((chosen.float().sum(dim=0) + shares) / (count + 1)).clamp_min(1e-6).log()


def mean_of(logits: Tensor) -> Tensor:
    """Return logits (n, k) whose softmax is the mean of the probabilities of voters (v, n, k)."""
    return logits.softmax(dim=2).mean(dim=0).clamp_min(1e-6).log()


def _first(logits: Tensor) -> Tensor:
    return logits[0]


VOTES = {"majority": majority, "mean": mean_of, "global": _first}
"""What `[model] vote` of a recipe may be."""
