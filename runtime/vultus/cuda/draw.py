"""Boxes drawn into a frame on the device, in the colours of `vultus.draw`, before the frame is encoded or shown."""

from __future__ import annotations

from contextlib import ExitStack, closing
from ctypes import c_int, c_void_p

import numpy as np
import numpy.typing as npt

from vultus.cuda.code.modules import Kernels
from vultus.cuda.driver import Argument, Driver, Stream
from vultus.cuda.pixels import check_frame
from vultus.cuda.tables import RECORD_WORDS, record_word, upload
from vultus.cuda.tensors import DeviceFrame, DeviceTensor
from vultus.draw import TRACKS
from vultus.errors import InputError
from vultus.preprocess import YUV_WEIGHTS, YuvWeights
from vultus.types import FACE, PixelFormat

__all__ = ["BoxDrawer", "palette_for"]

LAYOUTS: dict[PixelFormat, int] = {"BGR": 0, "RGB": 0, "GRAY": 1, "NV12": 2}
SIDES, THREADS = 4, 256
LUMA = (0.114, 0.587, 0.299)
"""Shares of blue, green and red in OpenCV's grey."""


class BoxDrawer:
    """Draws the boxes of records into frames of one format. capacity: the most records; thickness: pixels."""

    def __init__(
        self,
        driver: Driver,
        kernels: Kernels,
        capacity: int,
        format: PixelFormat = "BGR",
        colour: str = "bt601",
        thickness: int = 2,
    ) -> None:
        if not 1 <= capacity <= 65535:
            raise InputError(f"boxes of {capacity} faces cannot be drawn at once; expected 1 to 65535")
        if not 1 <= thickness <= 1000:
            raise InputError(f"a line of {thickness} pixels is impossible; expected 1 to 1000")
        self._driver, self._function = driver, kernels["vultus_draw_boxes"]
        self._capacity, self._thickness, self._format, self._colour = capacity, thickness, format, colour
        palette = palette_for(format, colour)
        with ExitStack() as stack:
            self._palette = stack.enter_context(closing(upload(driver, palette)))
            self._colours = len(palette)
            self._stack = stack.pop_all()

    def into(self, frame: DeviceFrame, records: DeviceTensor, count: DeviceTensor, stream: Stream) -> None:
        """Enqueue the boxes of the first `count` (one int32) of `records`, (n,) of dtype FACE, in frame pixels.

        Boxes that are not measured (NaN) are left out; where boxes cross, the earlier record lies on top.
        Raises InputError when the frame is of another kind or the records do not fit.
        """
        check_frame(frame)
        wanted, got = _named(self._format, self._colour), _named(frame.format, frame.colour)
        if got != wanted:
            raise InputError(f"this drawer is for {wanted} frames, not {got}")
        if records.dtype != FACE or not 1 <= records.shape[0] <= self._capacity:
            raise InputError(
                f"the records have shape {records.shape} and dtype {records.dtype}; "
                f"expected 1 to {self._capacity} of vultus.FACE"
            )
        sizes = (frame.pitch, frame.width, frame.height, LAYOUTS[frame.format])
        arguments: list[Argument] = [
            c_void_p(frame.pointer),
            c_void_p(frame.chroma),
            *map(c_int, sizes),
            c_void_p(records.pointer),
            *map(c_int, (RECORD_WORDS, record_word("track"))),
            c_void_p(count.pointer),
            c_void_p(self._palette.pointer),
            *map(c_int, (self._colours, self._thickness)),
        ]
        self._driver.launch(self._function, (SIDES, records.shape[0], 1), (THREADS, 1, 1), arguments, stream)

    def close(self) -> None:
        """Free the device memory; twice does nothing."""
        self._stack.close()


def palette_for(format: PixelFormat, colour: str = "bt601") -> npt.NDArray[np.uint8]:
    """Return the colours of tracks as bytes of a frame: (n, 3) in its order of channels; grey fills all three.

    For NV12 these are luma, u and v.
    """
    bgr = np.array(TRACKS, np.float64)
    if format == "NV12":
        return _rounded(_yuv_from_bgr(bgr, YUV_WEIGHTS[colour]))  # type: ignore[index]
    if format == "GRAY":
        return _rounded(np.repeat((bgr @ LUMA)[:, None], 3, axis=1))
    return _rounded(bgr if format == "BGR" else bgr[:, ::-1])


def _yuv_from_bgr(bgr: npt.NDArray[np.float64], weights: YuvWeights) -> npt.NDArray[np.float64]:
    """Turn the weights back: the (n, 3) luma, u and v that give colours (n, 3) as blue, green and red."""
    matrix = np.array(
        [
            [weights.luma, weights.u_to_blue, 0],
            [weights.luma, weights.u_to_green, weights.v_to_green],
            [weights.luma, 0, weights.v_to_red],
        ]
    )
    return np.asarray(bgr @ np.linalg.inv(matrix / 2**20).T + (weights.black, 128, 128))


def _rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _named(format: str, colour: str) -> str:
    return f"{format} {colour}" if format == "NV12" else format
