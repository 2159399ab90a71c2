"""Frames that go in, FACE records and results that come out.

`FACE` is an ABI: field order, types and offsets are fixed per `FACE_ABI_VERSION`, and the C header
`include/vultus_face.h` is generated from it (see `vultus.abi`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vultus.errors import InputError

__all__ = [
    "ATTRIBUTES",
    "AXES",
    "ETHNICITIES",
    "EXPRESSIONS",
    "FACE",
    "FACE_ABI_VERSION",
    "FACIAL_HAIR",
    "GENDERS",
    "LABELS",
    "NO_TRACK",
    "POINTS",
    "FaceArray",
    "Frame",
    "PixelFormat",
    "Result",
    "YuvColour",
    "empty_faces",
]

FACE_ABI_VERSION = 1
NO_TRACK = -1

GENDERS = ("female", "male")
ETHNICITIES = ("white", "black", "asian", "indian", "other")
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
FACIAL_HAIR = ("beard", "mustache", "goatee", "sideburns", "stubble")

POINTS = ("left_eye", "right_eye", "nose_tip", "left_mouth", "right_mouth")
"""Names of the five points; left and right are those of the picture, not of the person."""

AXES = ("yaw", "pitch", "roll")
"""Names of the angles of `pose`: positive to the picture's right, upwards, clockwise on the screen."""

LABELS: dict[str, tuple[str, ...]] = {
    "points": POINTS,
    "pose": AXES,
    "gender": GENDERS,
    "ethnicity": ETHNICITIES,
    "expression": EXPRESSIONS,
    "facial_hair": FACIAL_HAIR,
}
"""What the places of an array field mean, in the field's order."""

_f4, _i4 = np.float32, np.int32

FACE = np.dtype(
    [
        ("box", _f4, (4,)),  # x1, y1, x2, y2 in frame pixels
        ("score", _f4),  # detector confidence, 0-1
        ("points", _f4, (5, 2)),  # eyes, nose tip, mouth corners in picture order, frame pixels
        ("landmarks", _f4, (68, 2)),  # iBUG 68 order, frame pixels
        ("pose", _f4, (3,)),  # yaw, pitch, roll in degrees
        ("age", _f4),  # years
        ("age_spread", _f4),  # standard deviation of the age estimate, years
        ("gender", _f4, (len(GENDERS),)),  # probabilities in the order of GENDERS
        ("ethnicity", _f4, (len(ETHNICITIES),)),  # probabilities in the order of ETHNICITIES
        ("expression", _f4, (len(EXPRESSIONS),)),  # probabilities in the order of EXPRESSIONS
        ("smile", _f4),  # 0-100
        ("attractiveness", _f4),  # 0-100
        ("eyeglasses", _f4),  # probability
        ("facial_hair", _f4, (len(FACIAL_HAIR),)),  # probabilities in the order of FACIAL_HAIR
        ("quality", _f4),  # 0-1, how far the other answers can be relied on
        ("track", _i4),  # track id, NO_TRACK when not tracked
    ],
    align=True,
)

ATTRIBUTES = (
    "landmarks",
    "pose",
    "age",
    "gender",
    "ethnicity",
    "expression",
    "smile",
    "attractiveness",
    "eyeglasses",
    "facial_hair",
    "quality",
)
"""The parts of a FACE record that a user may ask for; box, score, points and track always come."""

FaceArray = npt.NDArray[np.void]
"""One-dimensional array of dtype FACE."""

PixelFormat = Literal["BGR", "RGB", "GRAY", "NV12"]

YuvColour = Literal["bt601", "bt601-full", "bt709", "bt709-full"]
"""Matrix and range of YUV: ITU-R BT.601 or BT.709; luma from 16 to 235, or -full from 0 to 255."""


def empty_faces(count: int = 0) -> FaceArray:
    """Return `count` FACE records in which nothing has been measured: NaN everywhere, no track."""
    faces = np.zeros(count, FACE)
    for name in FACE.names or ():
        faces[name] = NO_TRACK if name == "track" else np.nan
    return faces


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture in memory, with what is known of it.

    pixels: uint8, (H, W, 3) for BGR and RGB, (H, W) for GRAY, (H * 3 / 2, W) for NV12 with even H and W.
    index: position in its source, from 0. time: seconds since the source began.
    colour: how NV12 becomes RGB; the other formats do not look at it.
    """

    pixels: npt.NDArray[np.uint8]
    format: PixelFormat = "BGR"
    index: int = 0
    time: float = 0.0
    colour: YuvColour = "bt601"

    def __post_init__(self) -> None:
        """Refuse anything that is not the picture that it claims to be."""
        if self.format not in get_args(PixelFormat):
            raise InputError(
                f"pixel format {self.format!r} is unknown; expected one of {get_args(PixelFormat)}"
            )
        if self.colour not in get_args(YuvColour):
            raise InputError(f"colour {self.colour!r} is unknown; expected one of {get_args(YuvColour)}")
        pixels = self.pixels
        if not isinstance(pixels, np.ndarray):
            raise InputError(f"a frame's pixels must be a numpy array, not {type(pixels).__name__}")
        if pixels.dtype != np.uint8:
            raise InputError(
                f"a frame's pixels must be uint8, not {pixels.dtype}; scale the values to 0-255 first"
            )
        colour = self.format in ("BGR", "RGB")
        if (pixels.ndim != 3 or pixels.shape[2] != 3) if colour else pixels.ndim != 2:
            wanted = "(height, width, 3)" if colour else "(height, width)"
            raise InputError(f"a {self.format} frame must have shape {wanted}, not {pixels.shape}")
        if 0 in pixels.shape:
            raise InputError(f"a frame must hold at least one pixel; its shape is {pixels.shape}")
        if self.format == "NV12" and (pixels.shape[0] % 3 or pixels.shape[1] % 2):
            raise InputError(
                f"an NV12 frame must have shape (height * 3 / 2, width) with even sides, not {pixels.shape}"
            )

    @property
    def width(self) -> int:
        """Width of the picture in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height of the picture in pixels (for NV12 that of the luma plane)."""
        rows = int(self.pixels.shape[0])
        return rows * 2 // 3 if self.format == "NV12" else rows


@dataclass(frozen=True, slots=True)
class Result:
    """What the pipeline found in one frame.

    faces: dtype FACE, sorted by falling score, coordinates in frame pixels; owned by the caller.
    milliseconds: time of each stage that ran, by name: wall time on the host, device time by events on a GPU.
    ran_on: what really ran each stage, by name, and why where "auto" chose: engine and device of the network stages
    `detect` and `face`; on the device path also what ran everything between them. A stage that is not named ran on
    the host.
    """

    index: int
    time: float
    faces: FaceArray
    milliseconds: dict[str, float] = field(default_factory=dict)
    ran_on: dict[str, str] = field(default_factory=dict)
