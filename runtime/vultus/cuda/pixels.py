"""What the kernels are told of a frame and of the tensor that it becomes."""

from __future__ import annotations

from contextlib import ExitStack, closing
from ctypes import c_float, c_int, c_void_p
from typing import get_args

import numpy as np
import numpy.typing as npt

from vultus.cuda.driver import Argument, Driver
from vultus.cuda.tables import upload
from vultus.cuda.tensors import DeviceFrame, DeviceTensor
from vultus.errors import InputError
from vultus.preprocess import YUV_WEIGHTS, normalisation_tables
from vultus.spec import InputSpec
from vultus.types import PixelFormat, YuvColour

__all__ = ["KINDS", "Planes", "check_frame", "frame_arguments", "swapped", "tiles"]

KINDS: dict[PixelFormat, str] = {"BGR": "colour", "RGB": "colour", "GRAY": "grey", "NV12": "nv12"}
"""Pixel format -> the last part of the names of the kernels that read it."""

TILE = (32, 8, 1)


def check_frame(frame: DeviceFrame) -> None:
    """Raise InputError when a device frame contradicts itself."""
    if frame.format not in KINDS:
        raise InputError(f"pixel format {frame.format!r} is unknown; expected one of {get_args(PixelFormat)}")
    if frame.colour not in get_args(YuvColour):
        raise InputError(f"colour {frame.colour!r} is unknown; expected one of {get_args(YuvColour)}")
    if min(frame.width, frame.height) < 1:
        raise InputError(f"a frame must hold at least one pixel, not {frame.width}x{frame.height}")
    row = frame.width * (3 if KINDS[frame.format] == "colour" else 1)
    if frame.pitch < row:
        raise InputError(
            f"a {frame.format} frame {frame.width} pixels wide has rows of {row} bytes; its pitch is {frame.pitch}"
        )
    if frame.format == "NV12" and (frame.width % 2 or frame.height % 2):
        raise InputError(f"an NV12 frame must have even sides, not {frame.width}x{frame.height}")
    if not frame.pointer or (frame.format == "NV12" and not frame.chroma):
        raise InputError(f"a {frame.format} frame needs the address of each of its planes; one is 0")


def frame_arguments(frame: DeviceFrame) -> list[Argument]:
    """Return the first arguments of every kernel that reads frames of this format."""
    base: list[Argument] = [c_void_p(frame.pointer), c_int(frame.pitch)]
    kind = KINDS[frame.format]
    if kind == "colour":
        # Whole words only where none of them reaches beyond a row, which may be the end of all memory.
        words = not (frame.pointer % 4 or frame.pitch % 4 or frame.width % 4)
        return [*base, c_int(words)]
    if kind == "nv12":
        weights = YUV_WEIGHTS[frame.colour]  # type: ignore[index]
        return [*base, c_void_p(frame.chroma), *map(c_int, weights)]
    return base


def swapped(spec: InputSpec, format: PixelFormat) -> bool:
    """Tell whether the network's planes come in the opposite order of the pixels that kernels make of a format."""
    return (spec.channels == "RGB") != (format == "RGB")


def tiles(width: int, height: int, items: int = 1) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return grid and block for a thread a pixel."""
    return (-(-width // TILE[0]), -(-height // TILE[1]), items), TILE


class Planes:
    """Normalisation to a planar tensor as `vultus.preprocess` does it, to the last bit."""

    def __init__(self, driver: Driver, spec: InputSpec) -> None:
        self._spec = spec
        self._numbers = [c_float(value) for value in (*spec.mean, *spec.scale)]
        table = normalisation_tables(spec.mean, spec.scale)
        with ExitStack() as stack:
            self._table = 0
            if not _same_in_single(spec, table):
                self._table = stack.enter_context(closing(upload(driver, table))).pointer
            self._stack = stack.pop_all()

    def arguments(self, out: DeviceTensor, swap: bool) -> list[Argument]:
        """Return the arguments that say where and how a kernel writes.

        Raises InputError when `out` is neither float32 nor float16.
        """
        if out.dtype not in (np.float32, np.float16):
            raise InputError(f"a network input must be float32 or float16, not {out.dtype}")
        sizes = (out.shape[3], out.shape[2], out.dtype == np.float16, swap)
        return [c_void_p(out.pointer), *map(c_int, sizes), c_void_p(self._table), *self._numbers]

    def close(self) -> None:
        """Free the device memory; twice does nothing."""
        self._stack.close()


def _same_in_single(spec: InputSpec, table: npt.NDArray[np.float32]) -> bool:
    """Tell whether float32 arithmetic gives the table's bits, so that kernels need not look anything up."""
    mean, scale = (np.array(values, np.float32)[:, None] for values in (spec.mean, spec.scale))
    single = (np.arange(256, dtype=np.float32) - mean) * scale
    return bool((single.view(np.uint32) == table.view(np.uint32)).all())
