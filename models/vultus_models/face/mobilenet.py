"""MobileNet v1 (Howard et al. 2017) with the heads of attributes: a teacher that begins with a published trunk.

A trunk that was trained to tell thousands of people apart knows far more faces than the sets here have. It is too slow
for the edge and is never shipped; what it answers teaches smaller networks.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from vultus_models.face.ages import AgeForm
from vultus_models.face.heads import heads, learnt_outputs
from vultus_models.face.network import HeadedNet

__all__ = ["BLOCKS", "STEM", "MobileNet"]

STEM = 32
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Width and stride of each block."""

POOLED = ("landmarks", "pose")
"""Heads that need places, of which the mean of a map knows nothing."""


class _Step(nn.Conv2d):
    """A convolution, with its norm inside the kernel, and the ReLU that ends at 6."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inside, outside, kernel, stride, 0 if stride == 2 else kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map; a step of stride 2 pads right and below alone, as TensorFlow does."""
        return F.relu6(super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride[0] == 2 else x))


class MobileNet(HeadedNet):
    """The trunk and one dense layer a head on the mean of its last map.

    `[model]` of the recipe: `seen`, the side in pixels that crops are enlarged to, a multiple of 32; `frozen`, how many
    parts of the trunk, the stem first, keep their weights; `heads`, which must leave out landmarks and pose. Raises
    ValueError where they do not fit.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        model = config.get("model", {})
        self.heads = heads(config)
        unread = [head.output for head in self.heads if head.output in POOLED]
        if unread:
            raise ValueError(
                f"the network has no map to read {', '.join(unread)} from; leave them out of `heads`"
            )
        self.seen = int(model.get("seen", 160))
        if self.seen % 32 or self.seen < 32:
            raise ValueError(f"`seen` is {self.seen} px; expected a multiple of 32")
        self.trunk = nn.ModuleList([_Step(3, STEM, 3, 2)])
        width = STEM
        for outside, stride in BLOCKS:
            self.trunk.append(nn.Sequential(_Step(width, width, 3, stride, width), _Step(width, outside, 1)))
            width = outside
        for part in self.trunk[: int(model.get("frozen", 0))]:
            part.requires_grad_(False)
        self.drop: nn.Module = nn.Dropout(float(model.get("dropout", 0.1)))
        self.out = nn.ModuleDict({h.output: nn.Linear(width, learnt_outputs(h, config)) for h in self.heads})
        self.age_form = AgeForm(config)

    def raw(self, x: Tensor) -> dict[str, Tensor]:
        """Return every output by name."""
        x = F.interpolate(x, size=(self.seen, self.seen), mode="bilinear", align_corners=False)
        for part in self.trunk:
            x = part(x)
        features = self.drop(x.mean(dim=(2, 3)))
        return {name: head(features) for name, head in self.out.items()}

    def written(self, out: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs with the age in the code that the runtime reads."""
        return {**out, "age": self.age_form(out["age"])} if "age" in out else out
