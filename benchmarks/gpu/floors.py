"""The fewest bytes that the preprocessing kernels must move: each pixel that is looked at once, each value once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vultus.geometry import crop_affines, resized_shape
from vultus.preprocess import MAX_HALVINGS
from vultus.spec import InputSpec
from vultus.types import FaceArray, Frame

__all__ = ["crops_bytes", "floor_bytes", "letterbox_bytes"]

FLOAT = 4
TAPS = 2
"""A bilinear sample looks at two rows and two columns."""


def bytes_a_pixel(frame: Frame) -> float:
    """Return the bytes of a frame for each of its pixels: 1.5 for NV12."""
    return frame.pixels.nbytes / (frame.width * frame.height)


def letterbox_bytes(frame: Frame, spec: InputSpec, size: tuple[int, int]) -> int:
    """Return the bytes of a letterbox: the rows that it looks at, whole, and the tensor.

    Rows are counted whole because memory comes in lines that hold several pixels of a row.
    """
    _, tall = resized_shape(frame.width, frame.height, *size, spec.enlarge)
    rows = min(frame.height, TAPS * tall)
    return int(rows * frame.width * bytes_a_pixel(frame)) + 3 * size[0] * size[1] * FLOAT


def crops_bytes(frame: Frame, faces: FaceArray, spec: InputSpec) -> int:
    """Return the bytes of the crops of all faces: the pixels that they look at, and the tensor."""
    affines = crop_affines(faces["points"], spec.width)
    scales = np.hypot(affines[:, 0, 0], affines[:, 1, 0])
    side = spec.width * spec.height
    seen = side / np.maximum(scales, 1e-6) ** 2
    looked_at = np.minimum(seen, side * (TAPS * 2**MAX_HALVINGS) ** 2)
    return int(looked_at.sum() * bytes_a_pixel(frame)) + len(faces) * 3 * side * FLOAT


def floor_bytes(
    kernel: str, frame: Frame, faces: FaceArray, specs: Sequence[InputSpec], size: tuple[int, int]
) -> int | None:
    """Return the bytes that a kernel must move; None where so few are moved that launching takes longer.

    specs: inputs of detector and face network. size: (width, height) of the detector's input.
    """
    if kernel.startswith("vultus_letterbox"):
        return letterbox_bytes(frame, specs[0], size)
    if kernel.startswith("vultus_crops"):
        return crops_bytes(frame, faces, specs[1])
    return None
