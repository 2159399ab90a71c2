"""The three networks of MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded ...").

Each gives raw heads by name: `logit`, how much likelier a face is than none; `box`, by which shares of its sides the
box's left, top, right and bottom edges move; and the last one `points`, x and y of the five points as shares of the
box's sides from its top left corner, in picture order.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ONet", "PNet", "RNet"]

Outputs = dict[str, Tensor]


def _convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel), nn.PReLU(outputs)]


def _pool(kernel: int) -> list[nn.Module]:
    """Return a pooling whose last window may hang over the edge, as the weights were trained with."""
    return [nn.MaxPool2d(kernel, 2, ceil_mode=True)]


class _FreePool(nn.Module):
    """The same pooling of 2 x 2 for sides that are free: a repeated edge in place of the missing one."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return (batch, channels, rows / 2, columns / 2), rounded up."""
        # A graph traced with ceil_mode would hold for even sides alone.
        return F.max_pool2d(F.pad(maps, (0, 1, 0, 1), mode="replicate"), 2)


class PNet(nn.Module):
    """Proposals: slides a 12 x 12 window by 2 pixels over a picture; sides of at least 12 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_convolution(3, 10, 3), _FreePool(), *_convolution(10, 16, 3), *_convolution(16, 32, 3)
        )
        self.logit = nn.Conv2d(32, 1, 1)
        self.box = nn.Conv2d(32, 4, 1)

    def forward(self, images: Tensor) -> Outputs:
        """Return `logit` (batch, 1, rows, columns) and `box` (batch, 4, rows, columns)."""
        seen = self.trunk(images)
        return {"logit": self.logit(seen), "box": self.box(seen)}


class _Judge(nn.Module):
    """A network that judges crops of one size: a trunk, one dense layer, and a linear layer a head."""

    def __init__(self, trunk: Sequence[nn.Module], seen: int, width: int, heads: dict[str, int]) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*trunk, nn.Flatten(), nn.Linear(seen, width), nn.PReLU(width))
        self.heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in heads.items()})

    def forward(self, images: Tensor) -> Outputs:
        """Return each head (batch, numbers) of crops (batch, 3, side, side)."""
        seen = self.trunk(images)
        return {name: head(seen) for name, head in self.heads.items()}


class RNet(_Judge):
    """Refinement: crops of 24 x 24 pixels; `logit` (batch, 1) and `box` (batch, 4)."""

    def __init__(self) -> None:
        trunk = [
            *_convolution(3, 28, 3),
            *_pool(3),
            *_convolution(28, 48, 3),
            *_pool(3),
            *_convolution(48, 64, 2),
        ]
        super().__init__(trunk, 64 * 3 * 3, 128, {"logit": 1, "box": 4})


class ONet(_Judge):
    """Output: crops of 48 x 48 pixels; `logit` (batch, 1), `box` (batch, 4) and `points` (batch, 10)."""

    def __init__(self) -> None:
        trunk = [
            *_convolution(3, 32, 3),
            *_pool(3),
            *_convolution(32, 64, 3),
            *_pool(3),
            *_convolution(64, 64, 3),
            *_pool(2),
            *_convolution(64, 128, 2),
        ]
        super().__init__(trunk, 128 * 3 * 3, 256, {"logit": 1, "box": 4, "points": 10})
