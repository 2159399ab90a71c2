"""Device frames to network inputs: the letterbox and the crops of `vultus.preprocess`, without leaving the device.

The letterbox has the host's bits in every format. Crops have its grey levels or the next ones: the host
rounds places to float32 as well, or with an older OpenCV (4.10) to 1/32 pixel, which then is the larger error.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from ctypes import c_int, c_void_p

import numpy as np
import numpy.typing as npt

from vultus.cuda.code.modules import Kernels
from vultus.cuda.driver import Argument, Driver, Stream
from vultus.cuda.pixels import KINDS, Planes, check_frame, frame_arguments, swapped, tiles
from vultus.cuda.tables import upload
from vultus.cuda.tensors import DeviceFrame, DeviceTensor
from vultus.errors import InputError
from vultus.geometry import letterbox_affine, resized_shape
from vultus.preprocess import input_size
from vultus.spec import InputSpec
from vultus.types import PixelFormat

__all__ = ["Crops", "Letterbox", "resize_table"]

ONE = 2048
"""OpenCV weighs 8-bit pixels with whole numbers out of this."""


class Letterbox:
    """Fills the detector's input from frames of one size and format.

    size: (width, height) of the input. affine: (2, 3) float64, frame -> input.
    """

    def __init__(
        self,
        driver: Driver,
        kernels: Kernels,
        spec: InputSpec,
        width: int,
        height: int,
        format: PixelFormat = "BGR",
        colour: str = "bt601",
    ) -> None:
        # What is not made for such frames is not made at all.
        check_frame(DeviceFrame(1, width, height, 3 * width, format, 1, colour))
        self._driver, self._function = driver, kernels[f"vultus_letterbox_{KINDS[format]}"]
        self._frames, self._swap = _named(width, height, format, colour), swapped(spec, format)
        self.size = input_size(width, height, spec)
        inner = resized_shape(width, height, *self.size, spec.enlarge)
        self.affine: npt.NDArray[np.float64] = letterbox_affine(width, height, inner)
        with ExitStack() as stack:
            tables = [resize_table(width, inner[0]), resize_table(height, inner[1], clamped=False)]
            kept = [stack.enter_context(closing(upload(driver, table))) for table in tables]
            self._places: list[Argument] = [*(c_void_p(table.pointer) for table in kept), *map(c_int, inner)]
            self._planes = stack.enter_context(closing(Planes(driver, spec)))
            self._stack = stack.pop_all()

    def into(self, frame: DeviceFrame, out: DeviceTensor, stream: Stream) -> None:
        """Enqueue the letterbox of a frame into `out`, (1, 3, height, width) float32 or float16 of `size`.

        Raises InputError when frame or tensor are not what this letterbox was made for.
        """
        check_frame(frame)
        got = _named(frame.width, frame.height, frame.format, frame.colour)
        if got != self._frames:
            raise InputError(f"this letterbox is for frames {self._frames}, not {got}")
        wanted = (1, 3, self.size[1], self.size[0])
        if out.shape != wanted:
            raise InputError(f"this letterbox fills a tensor of shape {wanted}, not {out.shape}")
        grid, block = tiles(*self.size)
        arguments = [*frame_arguments(frame), *self._places, *self._planes.arguments(out, self._swap)]
        self._driver.launch(self._function, grid, block, arguments, stream)

    def close(self) -> None:
        """Free the device memory; twice does nothing."""
        self._stack.close()


class Crops:
    """Resamples faces of frames of any size and format into a network's input. capacity: the most at once."""

    def __init__(self, driver: Driver, kernels: Kernels, spec: InputSpec, capacity: int) -> None:
        if not 1 <= capacity <= 65535:
            raise InputError(f"a batch of {capacity} crops is impossible; expected 1 to 65535")
        self._driver, self._spec, self._capacity = driver, spec, capacity
        self._functions = {kind: kernels[f"vultus_crops_{kind}"] for kind in set(KINDS.values())}
        self._outside = [int(np.clip(round(value), 0, 255)) for value in spec.mean]
        self._planes = Planes(driver, spec)

    def into(
        self,
        frame: DeviceFrame,
        affines: DeviceTensor,
        count: DeviceTensor,
        start: int,
        out: DeviceTensor,
        stream: Stream,
    ) -> None:
        """Enqueue the crops of faces `start`, `start` + 1, ... into `out`, (n, 3, height, width).

        affines: (n or more, 2, 3) float32, frame -> crop, the first that of face `start`. count: one int32, how many
        faces there are; crops of faces beyond it keep what they hold. An affine that cannot be turned back gives
        a crop of the mean's colour.
        Raises InputError when the tensors do not fit each other.
        """
        check_frame(frame)
        self._check(affines, start, out)
        swap = swapped(self._spec, frame.format)
        outside = self._outside[::-1] if swap else self._outside
        arguments: list[Argument] = [
            *frame_arguments(frame),
            *map(c_int, (frame.width, frame.height, *outside)),
            c_void_p(affines.pointer),
            c_void_p(count.pointer),
            c_int(start),
            *self._planes.arguments(out, swap),
        ]
        grid, block = tiles(self._spec.width, self._spec.height, out.shape[0])
        self._driver.launch(self._functions[KINDS[frame.format]], grid, block, arguments, stream)

    def close(self) -> None:
        """Free the device memory; twice does nothing."""
        self._planes.close()

    def _check(self, affines: DeviceTensor, start: int, out: DeviceTensor) -> None:
        items = out.shape[0] if out.shape else 0
        if not 1 <= items <= self._capacity or out.shape[1:] != (3, self._spec.height, self._spec.width):
            wanted = f"(1 to {self._capacity}, 3, {self._spec.height}, {self._spec.width})"
            raise InputError(f"crops go into a tensor of shape {wanted}, not {out.shape}")
        if affines.dtype != np.float32 or affines.shape[1:] != (2, 3) or affines.shape[0] < items:
            raise InputError(
                f"{items} crops need affines of shape ({items} or more, 2, 3) and dtype float32, "
                f"not {affines.shape} and {affines.dtype}"
            )
        if start < 0:
            raise InputError(f"crops start at face 0 or later, not {start}")


def resize_table(length: int, resized: int, clamped: bool = True) -> npt.NDArray[np.int32]:
    """Return how OpenCV's INTER_LINEAR makes each of `resized` places: (resized, 4) first, second, weights.

    clamped: beyond the ends OpenCV gives a column one weight; a row keeps both, and reads one line twice.
    The second place of columns is the first one's neighbour wherever there are two.
    """
    scale = 1.0 / (resized / length)
    places = ((np.arange(resized) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(places).astype(np.int32)
    share = places - first.astype(np.float32)
    weights = np.rint(np.stack([np.float32(1) - share, share]) * np.float32(ONE)).astype(np.int32)
    last = length - 1
    if not clamped:
        return np.stack([np.clip(first, 0, last), np.clip(first + 1, 0, last), *weights], axis=1)
    weights[:, first < 0] = [[ONE], [0]]
    weights[:, first >= last] = [[0], [ONE]]
    first = np.clip(first, 0, max(last - 1, 0))
    return np.stack([first, np.minimum(first + 1, last), *weights], axis=1)


def _named(width: int, height: int, format: str, colour: str) -> str:
    return f"{format} {width}x{height}" + (f" {colour}" if format == "NV12" else "")
