"""Frames that are refused, frames that pass, and the record's promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vultus.errors import InputError, VultusError
from vultus.types import ATTRIBUTES, FACE, NO_TRACK, Frame, Result, empty_faces

NAMES = FACE.names or ()


def grid(*shape: int, dtype: Any = np.uint8) -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("pixels", "format", "size"),
    [
        (grid(2, 1, 3), "BGR", (1, 2)),
        (grid(7, 5, 3), "RGB", (5, 7)),
        (grid(10, 20000), "GRAY", (20000, 10)),
        (grid(6, 4), "NV12", (4, 4)),
        (grid(3, 2), "NV12", (2, 2)),
        (grid(8, 8, 3)[::2, ::2], "BGR", (4, 4)),
    ],
)
def test_frames_know_their_size(pixels: Any, format: Any, size: tuple[int, int]) -> None:
    frame = Frame(pixels, format)
    assert (frame.width, frame.height) == size


@pytest.mark.parametrize(
    ("pixels", "format", "message"),
    [
        (grid(4, 4, 3), "YUYV", "pixel format 'YUYV' is unknown; expected one of"),
        ([[1, 2], [3, 4]], "BGR", "must be a numpy array, not list"),
        (grid(4, 4, 3, dtype=np.float32), "BGR", "must be uint8, not float32; scale the values to 0-255"),
        (grid(4, 4, 3, dtype=np.uint16), "BGR", "must be uint8, not uint16"),
        (grid(4, 4), "BGR", r"BGR frame must have shape \(height, width, 3\), not \(4, 4\)"),
        (grid(4, 4, 4), "RGB", r"RGB frame must have shape \(height, width, 3\), not \(4, 4, 4\)"),
        (grid(4, 4, 1), "GRAY", r"GRAY frame must have shape \(height, width\), not \(4, 4, 1\)"),
        (grid(0, 4, 3), "BGR", r"at least one pixel; its shape is \(0, 4, 3\)"),
        (grid(5, 4), "NV12", r"NV12 frame must have shape .* not \(5, 4\)"),
        (grid(6, 3), "NV12", r"NV12 frame must have shape .* not \(6, 3\)"),
    ],
)
def test_frames_refuse_what_is_no_picture(pixels: Any, format: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Frame(pixels, format)
    assert isinstance(caught.value, (VultusError, ValueError))


def test_frames_do_not_copy_their_pixels() -> None:
    pixels = grid(4, 4, 3)
    assert Frame(pixels).pixels is pixels


def test_empty_faces_have_measured_nothing() -> None:
    faces = empty_faces(3)
    assert faces.dtype == FACE
    for name in NAMES:
        expected = np.full_like(faces[name], NO_TRACK if name == "track" else np.nan)
        np.testing.assert_array_equal(faces[name], expected, err_msg=name)
    assert len(empty_faces()) == 0


def test_the_record_is_aligned_and_made_of_four_byte_values() -> None:
    assert FACE.isalignedstruct
    for name in NAMES:
        assert FACE[name].base.itemsize == 4, name
    assert FACE["track"].base == np.int32


def test_attributes_are_fields_of_the_record() -> None:
    assert set(ATTRIBUTES) < set(NAMES)
    assert len(set(ATTRIBUTES)) == len(ATTRIBUTES)


def test_results_do_not_share_their_tables() -> None:
    first, second = Result(0, 0.0, empty_faces()), Result(1, 0.1, empty_faces())
    first.milliseconds["detect"] = 1.0
    assert second.milliseconds == {}
