"""3DDFA v2 (Guo et al. 2020) as a teacher of head pose: a small MobileNet that regresses a pose matrix.

The 62 numbers of the network hold a 3x4 affine matrix and the shape and expression of a morphable face; the
pose is read from the matrix alone. Angles as in vultus: yaw is positive when the face turns to the picture's
right, pitch when it looks up, roll when the head tilts clockwise on the screen. Roll is the outermost rotation,
so turning the picture by some angle adds that angle to roll and leaves yaw and pitch alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

__all__ = ["PoseTeacher", "angles_from_rotation", "rotation_from_params"]

Array = npt.NDArray[np.float64]
INPUT = 120
BLOCKS = {
    "dw2_1": (16, 32, 1),
    "dw2_2": (32, 64, 2),
    "dw3_1": (64, 64, 1),
    "dw3_2": (64, 128, 2),
    "dw4_1": (128, 128, 1),
    "dw4_2": (128, 256, 2),
    **{f"dw5_{k}": (256, 256, 1) for k in range(1, 6)},
    "dw5_6": (256, 512, 2),
    "dw6": (512, 512, 1),
}


class _Separable(nn.Module):
    """A depthwise 3x3 and a pointwise convolution, each with batch norm and ReLU."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False)
        self.bn_dw = nn.BatchNorm2d(inside)
        self.conv_sep = nn.Conv2d(inside, outside, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn_dw(self.conv_dw(x)))
        return torch.relu(self.bn_sep(self.conv_sep(x)))


class _Regressor(nn.Module):
    """MobileNet-v1 x0.5 with the attribute names of the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for name, shape in BLOCKS.items():
            self.add_module(name, _Separable(*shape))
        self.fc_param = nn.Linear(512, 62)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        out: Tensor = self.fc_param(x.mean(dim=(2, 3)))
        return out


def rotation_from_params(params: npt.ArrayLike) -> Array:
    """Return rotations (n, 3, 3) of parameters (n, 62): x to the right, y up, z to the viewer."""
    matrix = np.asarray(params, np.float64)[:, :12].reshape(-1, 3, 4)[:, :, :3]
    first, second = (matrix[:, k] / np.linalg.norm(matrix[:, k], axis=1, keepdims=True) for k in (0, 1))
    return np.stack([first, second, np.cross(first, second)], axis=1)


def angles_from_rotation(rotation: npt.ArrayLike) -> Array:
    """Return yaw, pitch, roll (n, 3) in degrees of rotations (n, 3, 3) with y up and z to the viewer."""
    r = np.asarray(rotation, np.float64)
    up = r[:, :, 1]
    roll = np.arctan2(up[:, 0], up[:, 1])
    pitch = np.arctan2(-up[:, 2], np.hypot(up[:, 0], up[:, 1]))
    cos, sin = np.cos(roll), np.sin(roll)
    forward_x = cos * r[:, 0, 2] - sin * r[:, 1, 2]
    side_x = cos * r[:, 0, 0] - sin * r[:, 1, 0]
    angles: Array = np.degrees(np.stack([np.arctan2(forward_x, side_x), pitch, roll], axis=1))
    return angles


class PoseTeacher:
    """The network with its published weights, run over aligned crops."""

    def __init__(self, weights: Path, constants: Path) -> None:
        stored = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
        kept = {key.removeprefix("module."): value for key, value in stored.items() if "fc_lm" not in key}
        self._net = _Regressor().eval()
        self._net.load_state_dict(kept)
        numbers = json.loads(constants.read_text(encoding="utf-8"))
        self._mean, self._std = (np.asarray(numbers[key], np.float64) for key in ("mean", "std"))

    @torch.no_grad()
    def params(self, crops: npt.NDArray[np.uint8]) -> Array:
        """Return the parameters (n, 62) of square BGR crops (n, s, s, 3)."""
        small = np.stack([cv2.resize(crop, (INPUT, INPUT)) for crop in crops])
        batch = torch.from_numpy(small).permute(0, 3, 1, 2).float().sub_(127.5).div_(128)
        return np.asarray(self._net(batch).numpy() * self._std + self._mean, np.float64)

    def __call__(self, crops: npt.NDArray[np.uint8]) -> Array:
        """Return yaw, pitch, roll (n, 3) in degrees, in the crops' frame."""
        return angles_from_rotation(rotation_from_params(self.params(crops)))
