"""RetinaFace with a MobileNet-0.25 trunk (Deng et al. 2020), to read its published state dict and label faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Candidates", "RetinaFace", "candidates", "load_retinaface"]

MEAN_BGR = (104.0, 117.0, 123.0)
SIZES = ((16, 32), (64, 128), (256, 512))
STRIDES = (8, 16, 32)
VARIANCES = (0.1, 0.2)
SLOPE = 0.1

# (outputs, stride) of the depthwise-separable blocks after the first convolution, by stage
STAGES = (
    ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1)),
    ((128, 2), (128, 1), (128, 1), (128, 1), (128, 1), (128, 1)),
    ((256, 2), (256, 1)),
)


@dataclass(frozen=True)
class Candidates:
    """Faces before suppression: boxes (n, 4) and points (n, 5, 2) in picture pixels, scores (n,); float64."""

    boxes: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, active: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.LeakyReLU(SLOPE)) if active else nn.Sequential(*layers)


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE),
    )


class _Trunk(nn.Module):
    """Three stages, whose ends lie on strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        width = 8
        for number, blocks in enumerate(STAGES, 1):
            layers: list[nn.Module] = [_conv(3, width, 3, 2)] if number == 1 else []
            for outputs, stride in blocks:
                layers.append(_separable(width, outputs, stride))
                width = outputs
            setattr(self, f"stage{number}", nn.Sequential(*layers))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for number in (1, 2, 3):
            x = getattr(self, f"stage{number}")(x)
            maps.append(x)
        return maps


class _Pyramid(nn.Module):
    """Feature pyramid of 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (_conv(c, 64, 1) for c in (64, 128, 256))
        self.merge1, self.merge2 = _conv(64, 64, 3), _conv(64, 64, 3)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = self.output1(maps[0]), self.output2(maps[1]), self.output3(maps[2])
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[2:]))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[2:]))
        return [fine, middle, coarse]


class _Context(nn.Module):
    """Context of three receptive fields (SSH, Najibi et al. 2017); names follow the published state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv3X3 = _conv(64, 32, 3, active=False)
        self.conv5X5_1 = _conv(64, 16, 3)
        self.conv5X5_2 = _conv(16, 16, 3, active=False)
        self.conv7X7_2 = _conv(16, 16, 3)
        self.conv7x7_3 = _conv(16, 16, 3, active=False)

    def forward(self, x: Tensor) -> Tensor:
        shared = self.conv5X5_1(x)
        wide = self.conv7x7_3(self.conv7X7_2(shared))
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(shared), wide], 1))


class _Head(nn.Module):
    """One 1x1 convolution: two anchors of `values` numbers a cell."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(64, 2 * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1x1(x).permute(0, 2, 3, 1)
        return out.reshape(len(x), -1, self.values)


class RetinaFace(nn.Module):
    """BGR minus the mean, (B, 3, H, W), to (B, anchors, 2 + 4 + 10): class logits, box and point offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.fpn = _Trunk(), _Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = _Context(), _Context(), _Context()
        self.ClassHead = nn.ModuleList(_Head(2) for _ in STRIDES)
        self.BboxHead = nn.ModuleList(_Head(4) for _ in STRIDES)
        self.LandmarkHead = nn.ModuleList(_Head(10) for _ in STRIDES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw values of all anchors, fine levels first."""
        maps = self.fpn(self.body(x))
        levels = [ssh(m) for ssh, m in zip((self.ssh1, self.ssh2, self.ssh3), maps, strict=True)]
        heads = (self.ClassHead, self.BboxHead, self.LandmarkHead)
        rows = [torch.cat([head[i](m) for head in heads], 2) for i, m in enumerate(levels)]
        return torch.cat(rows, 1)


def load_retinaface(path: Path) -> RetinaFace:
    """Read the published state dict into a network in evaluation mode."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = RetinaFace()
    model.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    return model.eval()


def _anchors(height: int, width: int) -> npt.NDArray[np.float64]:
    """Return (n, 3): centre x, y (whole number = pixel centre) and side of every anchor."""
    parts = []
    for stride, sizes in zip(STRIDES, SIZES, strict=True):
        rows, columns = -(-height // stride), -(-width // stride)
        y, x, size = np.meshgrid(np.arange(rows), np.arange(columns), sizes, indexing="ij")
        parts.append(np.stack([(x + 0.5) * stride - 0.5, (y + 0.5) * stride - 0.5, size], -1).reshape(-1, 3))
    return np.concatenate(parts).astype(np.float64)


def candidates(model: RetinaFace, pictures: npt.NDArray[np.uint8], min_score: float) -> list[Candidates]:
    """Return the unsuppressed faces of a batch of BGR pictures (B, H, W, 3), one entry a picture."""
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        values = model(batch - torch.tensor(MEAN_BGR).view(1, 3, 1, 1)).double()
        scores = values[..., :2].softmax(-1)[..., 1].numpy()
    anchors = _anchors(*pictures.shape[1:3])
    return [_decoded(values[i].numpy(), scores[i], anchors, min_score) for i in range(len(pictures))]


def _decoded(
    values: npt.NDArray[np.float64],
    scores: npt.NDArray[np.float64],
    anchors: npt.NDArray[np.float64],
    min_score: float,
) -> Candidates:
    keep = np.flatnonzero(scores > min_score)
    raw, centre, size = values[keep], anchors[keep, :2], anchors[keep, 2:]
    middle = centre + raw[:, 2:4] * VARIANCES[0] * size
    half = size * np.exp(raw[:, 4:6] * VARIANCES[1]) / 2
    points = centre[:, None] + raw[:, 6:].reshape(-1, 5, 2) * VARIANCES[0] * size[:, None]
    return Candidates(np.concatenate([middle - half, middle + half], 1), points, scores[keep])
