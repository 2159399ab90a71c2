"""Host resampling: frames to network inputs. Each function returns or takes the matrix that it applied.

Training, calibration, evaluation and the runtime all come through here, so they cannot differ.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vultus.geometry import fit_size, letterbox_affine, resized_shape
from vultus.spec import InputSpec
from vultus.types import Frame, YuvColour

__all__ = [
    "YUV_WEIGHTS",
    "YuvWeights",
    "bgr_from_frame",
    "crops",
    "crops_into",
    "input_size",
    "letterbox",
    "letterbox_into",
    "normalisation_tables",
]

Pixels = npt.NDArray[np.uint8]
Tensor = npt.NDArray[np.float32]
MAX_HALVINGS = 3


class YuvWeights(NamedTuple):
    """How YUV becomes RGB, in units of 2 ** -20: black is the luma that gives 0."""

    black: int
    luma: int
    v_to_red: int
    u_to_green: int
    v_to_green: int
    u_to_blue: int


YUV_WEIGHTS: dict[YuvColour, YuvWeights] = {
    "bt601": YuvWeights(16, 1220542, 1673527, -409993, -852492, 2116026),  # OpenCV's own
    "bt601-full": YuvWeights(0, 1048576, 1470104, -360853, -748826, 1858077),
    "bt709": YuvWeights(16, 1220945, 1879825, -223607, -558796, 2215014),
    "bt709-full": YuvWeights(0, 1048576, 1651297, -196424, -490864, 1945738),
}
"""Weights of each colour; red, green and blue are the sums with u and v less 128, plus 2 ** 19, shifted by 20."""


def bgr_from_frame(frame: Frame) -> Pixels:
    """Return the frame's picture as (H, W, 3) BGR; the frame's own array when it is BGR already."""
    if frame.format == "BGR":
        return frame.pixels
    if frame.format == "NV12" and frame.colour != "bt601":
        return _bgr_from_nv12(frame.pixels, frame.height, YUV_WEIGHTS[frame.colour])
    codes = {
        "RGB": cv2.COLOR_RGB2BGR,
        "GRAY": cv2.COLOR_GRAY2BGR,
        "NV12": cv2.COLOR_YUV2BGR_NV12,
    }
    return np.asarray(cv2.cvtColor(frame.pixels, codes[frame.format]), np.uint8)


def _bgr_from_nv12(pixels: Pixels, height: int, weights: YuvWeights) -> Pixels:
    """Convert as OpenCV does for BT.601, with other weights: each 2 x 2 pixels share one u and one v."""
    width = pixels.shape[1]
    luma = np.maximum(pixels[:height].astype(np.int32) - weights.black, 0) * weights.luma
    luma = luma.reshape(height // 2, 2, width // 2, 2)
    chroma = pixels[height:].reshape(height // 2, width // 2, 2).astype(np.int32) - 128
    u, v = chroma[:, None, :, None, 0], chroma[:, None, :, None, 1]
    parts = (
        u * weights.u_to_blue,
        u * weights.u_to_green + v * weights.v_to_green,
        v * weights.v_to_red,
    )
    out = np.empty((height, width, 3), np.uint8)
    for place, part in enumerate(parts):
        values = np.clip((luma + (part + (1 << 19))) >> 20, 0, 255)
        out[..., place] = values.reshape(height, width)
    return out


def input_size(width: int, height: int, spec: InputSpec) -> tuple[int, int]:
    """Return the (width, height) of the network input for a frame of this size."""
    if not spec.multiple:
        return spec.width, spec.height
    return fit_size(width, height, (spec.width, spec.height), spec.multiple, spec.enlarge)


def letterbox_into(bgr: Pixels, spec: InputSpec, out: Tensor) -> npt.NDArray[np.float64]:
    """Resize BGR into the top left of `out` (3, h, w), pad with the mean; return frame -> tensor."""
    height, width = bgr.shape[:2]
    size = resized_shape(width, height, out.shape[2], out.shape[1], spec.enlarge)
    same = size == (width, height)
    resized = bgr if same else np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    out[:, size[1] :, :] = 0.0
    out[:, : size[1], size[0] :] = 0.0
    _normalise_into(resized, spec, out[:, : size[1], : size[0]])
    return letterbox_affine(width, height, size)


def letterbox(bgr: Pixels, spec: InputSpec) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """Return the (1, 3, h, w) detector input of a BGR picture and the affine frame -> tensor."""
    width, height = input_size(bgr.shape[1], bgr.shape[0], spec)
    out = np.empty((1, 3, height, width), np.float32)
    return out, letterbox_into(bgr, spec, out[0])


def crops_into(bgr: Pixels, affines: npt.ArrayLike, spec: InputSpec, out: Tensor) -> None:
    """Resample the picture through (k, 2, 3) affines frame -> crop into `out` (k, 3, h, w).

    Bilinear. Where a face is more than twice as large as its crop, the picture is halved first, up to three times,
    until it is not: as with the mipmaps of Williams (1983), no pixel of the face is passed over. What lies outside
    the frame has the mean's colour.
    """
    outside = spec.mean if spec.channels == "BGR" else spec.mean[::-1]
    for affine, target in zip(np.asarray(affines, np.float64), out, strict=True):
        crop = _warp(bgr, affine, (spec.width, spec.height), outside)
        _normalise_into(crop, spec, target)


def crops(bgr: Pixels, affines: npt.ArrayLike, spec: InputSpec) -> Tensor:
    """Return the (k, 3, h, w) crops of a picture for (k, 2, 3) affines frame -> crop."""
    matrices = np.asarray(affines, np.float64)
    out = np.empty((len(matrices), 3, spec.height, spec.width), np.float32)
    crops_into(bgr, matrices, spec, out)
    return out


def _warp(
    bgr: Pixels, affine: npt.NDArray[np.float64], size: tuple[int, int], fill: tuple[float, ...]
) -> Pixels:
    halvings = _halvings(affine)
    if halvings:
        bgr, affine = _halved(bgr, affine, size, halvings)
    warped = cv2.warpAffine(
        bgr, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=fill
    )
    return np.asarray(warped, np.uint8)


def _halvings(affine: npt.NDArray[np.float64]) -> int:
    """Return how often a picture is halved until it is at most twice as large as in the crop."""
    (a, b, _), (c, d, _) = affine.tolist()
    scale = math.sqrt(abs(a * d - b * c))
    return sum(1e-6 < scale < 0.5**times for times in range(1, MAX_HALVINGS + 1))


def _halved(
    bgr: Pixels, affine: npt.NDArray[np.float64], size: tuple[int, int], times: int
) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """Return the part of a picture that a crop looks at, halved so often, and the affine from there to the crop.

    Four pixels become their mean, halves rounded up; where a row or a column is odd, its last pixel counts twice.
    """
    step = 1 << times
    columns, rows = _window(bgr, affine, size, step)
    part = bgr[rows, columns]
    for _ in range(times):
        height, width = part.shape[:2]
        if height % 2 or width % 2:
            padded = cv2.copyMakeBorder(part, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
            part = np.asarray(padded, np.uint8)
        half = (part.shape[1] // 2, part.shape[0] // 2)
        part = np.asarray(cv2.resize(part, half, interpolation=cv2.INTER_AREA), np.uint8)
    moved = affine.copy()
    moved[:, 2] += affine[:, :2] @ (columns.start + 0.5 * step - 0.5, rows.start + 0.5 * step - 0.5)
    moved[:, :2] *= step
    return part, moved


def _window(
    bgr: Pixels, affine: npt.NDArray[np.float64], size: tuple[int, int], step: int
) -> tuple[slice, slice]:
    """Return the columns and rows that a crop looks at, in whole steps; they may end past the picture."""
    (a, b, shift_x), (c, d, shift_y) = affine.tolist()
    area = a * d - b * c
    x, y = 0.5 * size[0] - 0.5 - shift_x, 0.5 * size[1] - 0.5 - shift_y
    reach = (abs(d) * size[0] + abs(b) * size[1], abs(c) * size[0] + abs(a) * size[1])
    middles = ((d * x - b * y) / area, (a * y - c * x) / area)
    columns, rows = (
        _steps(middle, 0.5 * wide / abs(area), side, step)
        for middle, wide, side in zip(middles, reach, (bgr.shape[1], bgr.shape[0]), strict=True)
    )
    return columns, rows


def _steps(middle: float, reach: float, side: int, step: int) -> slice:
    """Return the pixels within reach of a middle, on a side of a picture, and the pixels next to them."""
    most = -(-side // step)
    first = min(max(math.floor((middle - reach) / step) - 1, 0), most - 1)
    last = max(min(math.ceil((middle + reach) / step) + 2, most), first + 1)
    return slice(first * step, last * step)


@lru_cache(maxsize=32)
def normalisation_tables(mean: tuple[float, ...], scale: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """Return (pixel - mean) * scale for every pixel value: (3, 256)."""
    values = np.arange(256, dtype=np.float64)
    return np.stack([(values - m) * s for m, s in zip(mean, scale, strict=True)]).astype(np.float32)


def _normalise_into(bgr: Pixels, spec: InputSpec, out: Tensor) -> None:
    tables = normalisation_tables(spec.mean, spec.scale)
    planes = cv2.split(bgr)
    if spec.channels == "RGB":
        planes = planes[::-1]
    for plane, table, target in zip(planes, tables, out, strict=True):
        cv2.LUT(plane, table, dst=target)  # in place: a copy of the result costs more than the lookup
