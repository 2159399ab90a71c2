"""Which landmarks of a turned face the camera sees: hidden ones are guesses of whoever labelled them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["visible"]

SEEN, GONE = 85.0, 105.0
"""Degrees between a landmark's direction and the camera's up to which it is seen, and from which it is hidden."""


def _angles() -> Tensor:
    """Return the direction (68,) of each landmark around the head's upright axis, degrees, + to picture right."""
    contour = torch.linspace(-80, 80, 17)
    brows = torch.tensor([-60.0, -50, -38, -26, -14, 14, 26, 38, 50, 60])
    nose = torch.tensor([0.0, 0, 0, 0, -14, -7, 0, 7, 14])
    eyes = torch.tensor([-48.0, -40, -30, -20, -30, -40, 20, 30, 40, 48, 40, 30])
    outer = torch.tensor([-30.0, -20, -8, 0, 8, 20, 30, 20, 8, 0, -8, -20])
    inner = torch.tensor([-26.0, -8, 0, 8, 26, 8, 0, -8])
    return torch.cat([contour, brows, nose, eyes, outer, inner])


ANGLES = _angles()


def visible(yaw: Tensor, hidden: float) -> Tensor:
    """Return the weight (n, 68) of the landmarks of faces turned by `yaw` (n,) degrees; NaN turns nothing.

    A positive yaw hides the side at the right of the picture. Seen landmarks weigh 1, hidden ones `hidden`, in between
    they fade.
    """
    away = (ANGLES.to(yaw.device) + yaw.nan_to_num(0.0)[:, None]).abs()
    seen = ((GONE - away) / (GONE - SEEN)).clamp(0.0, 1.0)
    return hidden + (1 - hidden) * seen
