"""What users hand to the device path: pictures on the host or on the device, in whatever array they have.

Host pictures are numpy arrays and `vultus.Frame`. Device pictures are read where they lie: a `DeviceFrame` is a
plain address, any object with `__dlpack__` or `__cuda_array_interface__` (PyTorch, CuPy, PyCUDA, Numba) is taken as
BGR, and a `DeviceArray` says of which other format such an object is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast, get_args

import numpy as np

from vultus.cuda.dlpack import ArrayView, offers_dlpack, view_of_dlpack, view_of_interface
from vultus.cuda.driver import Stream
from vultus.cuda.pixels import check_frame
from vultus.cuda.tensors import DeviceFrame
from vultus.errors import InputError
from vultus.types import Frame, PixelFormat

__all__ = [
    "DeviceArray",
    "Geometry",
    "device_frame",
    "foreign_stream",
    "geometry_of",
    "lies_on_device",
    "row_bytes",
]


@dataclass(frozen=True)
class DeviceArray:
    """A picture in a device array of another library.

    array: uint8 with `__dlpack__` or `__cuda_array_interface__`: (H, W, 3) for BGR and RGB, (H, W) for GRAY,
    (H * 3 / 2, W) for NV12; rows may lie apart, the pixels of a row may not. index, time, colour: as in DeviceFrame.
    """

    array: object
    format: PixelFormat = "BGR"
    index: int = 0
    time: float = 0.0
    colour: str = "bt601"


@dataclass(frozen=True)
class Geometry:
    """What the device path prepares for: frames of one size, format and colour."""

    width: int
    height: int
    format: PixelFormat
    colour: str


def lies_on_device(picture: object) -> bool:
    """Tell whether a picture lies where only the device path reads it."""
    if isinstance(picture, (np.ndarray, Frame)):
        return False
    if isinstance(picture, (DeviceFrame, DeviceArray)):
        return True
    # DLPack first: PyTorch's other interface raises for what it does not hand over.
    return offers_dlpack(picture) or hasattr(picture, "__cuda_array_interface__")


def geometry_of(frame: DeviceFrame) -> Geometry:
    """Return what a frame shares with others that the same kernels and tables serve."""
    return Geometry(frame.width, frame.height, frame.format, frame.colour)


def row_bytes(width: int, format: PixelFormat) -> int:
    """Return the bytes that the pixels of one row take."""
    return width * 3 if format in ("BGR", "RGB") else width


def device_frame(picture: object, device: int, stream: int) -> DeviceFrame:
    """Return a device picture as a DeviceFrame, without a copy.

    device: index of the GPU that will read it. stream: CUstream that will read it, before which a DLPack producer
    orders its own work. Raises InputError when the picture cannot be read where it lies.
    """
    if isinstance(picture, DeviceFrame):
        check_frame(picture)
        return picture
    wanted = picture if isinstance(picture, DeviceArray) else DeviceArray(picture)
    view = _view(wanted.array, stream)
    if view.device is not None and view.device != device:
        raise InputError(
            f"the picture lies on CUDA device {view.device}, this Analyzer runs on device {device}; copy it there"
        )
    return _framed(view, wanted)


def foreign_stream(handle: int) -> Stream:
    """Return a caller's CUstream as something that an event can be recorded in."""
    return cast("Stream", _Handle(handle))


@dataclass(frozen=True)
class _Handle:
    handle: int


def _view(array: object, stream: int) -> ArrayView:
    # DLPack first: it orders the producer's work before ours, whichever stream that was in.
    if hasattr(array, "__dlpack__") and not isinstance(array, np.ndarray):
        return view_of_dlpack(array, stream)
    if hasattr(array, "__cuda_array_interface__"):
        return view_of_interface(array)
    raise InputError(
        f"a picture must be a numpy array, a vultus.Frame, a DeviceFrame or a device array with __dlpack__ or "
        f"__cuda_array_interface__, not {type(array).__name__}"
    )


def _framed(view: ArrayView, wanted: DeviceArray) -> DeviceFrame:
    """Check shape and strides of a view and return it as a frame of the format that was asked for."""
    _require_format(wanted.format)
    colour, shape = wanted.format in ("BGR", "RGB"), view.shape
    if (len(shape) != 3 or shape[2] != 3) if colour else len(shape) != 2:
        expected = "(height, width, 3)" if colour else "(height, width)"
        raise InputError(
            f"a {wanted.format} picture must have shape {expected}, not {shape}; see DeviceArray"
        )
    if 0 in shape:
        raise InputError(f"a frame must hold at least one pixel; its shape is {shape}")
    if wanted.format == "NV12" and (shape[0] % 3 or shape[1] % 2):
        raise InputError(
            f"an NV12 picture must have shape (height * 3 / 2, width) with even sides, not {shape}"
        )
    pitch = _pitch(view, row_bytes(shape[1], wanted.format))
    height = shape[0] * 2 // 3 if wanted.format == "NV12" else shape[0]
    frame = DeviceFrame(
        view.pointer, shape[1], height, pitch, wanted.format, 0, wanted.colour, wanted.index, wanted.time
    )
    chroma = view.pointer + pitch * height if wanted.format == "NV12" else 0
    frame = replace(frame, chroma=chroma, owner=view.owner, stream=view.stream)
    check_frame(frame)
    return frame


def _pitch(view: ArrayView, least: int) -> int:
    """Return the bytes from row to row; refuse rows whose pixels do not lie one behind the other."""
    shape, strides = view.shape, view.strides
    dense = (1,) if len(shape) == 2 else (3, 1)
    apart = any(
        side > 1 and step != near for side, step, near in zip(shape[1:], strides[1:], dense, strict=True)
    )
    if apart or (shape[0] > 1 and strides[0] < least):
        raise InputError(
            f"the pixels of a row must lie one behind the other, rows from top to bottom; the array of shape {shape} "
            f"has strides {strides} bytes; make a contiguous copy"
        )
    return strides[0] if shape[0] > 1 else least


def _require_format(format: str) -> None:
    if format not in get_args(PixelFormat):
        raise InputError(f"pixel format {format!r} is unknown; expected one of {get_args(PixelFormat)}")
