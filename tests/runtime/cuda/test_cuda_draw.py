"""Boxes that the shipped kernel draws, on the host through the shim, against pictures painted box by box."""

from __future__ import annotations

from contextlib import closing
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_pictures import Pair, framed
from shim import reverse_order
from shim_driver import HostStream, ShimDriver, kernels_on, tensor_of
from vultus.cuda.draw import BoxDrawer, palette_for
from vultus.draw import TRACKS
from vultus.errors import InputError
from vultus.preprocess import bgr_from_frame
from vultus.types import NO_TRACK, FaceArray, Frame, PixelFormat, YuvColour, empty_faces

Array = npt.NDArray[Any]
STREAM = HostStream()


def faces_at(boxes: Array, tracks: Array | None = None) -> FaceArray:
    faces = empty_faces(len(boxes))
    faces["box"] = boxes
    if tracks is not None:
        faces["track"] = tracks
    return faces


def drawn(pair: Pair, faces: FaceArray, thickness: int = 1, count: int | None = None) -> Array:
    """Return the memory of the frame after the kernel drew into it."""
    driver, frame = ShimDriver(), pair.device
    number = np.array([len(faces) if count is None else count], np.int32)
    kernels = kernels_on(driver)
    with closing(BoxDrawer(driver, kernels, len(faces), frame.format, frame.colour, thickness)) as drawer:
        drawer.into(frame, tensor_of(faces), tensor_of(number), STREAM)
    return pair.memory


def planes_of(pair: Pair) -> tuple[Array, Array]:
    """Return views of the pixels, (H, W, channels), and of NV12's second plane, (H / 2, W / 2, 2) or empty."""
    frame = pair.device
    first, channels = frame.pointer - pair.memory.ctypes.data, 3 if frame.format in ("BGR", "RGB") else 1
    rows = np.lib.stride_tricks.as_strided
    pixels = rows(pair.memory[first:], (frame.height, frame.width, channels), (frame.pitch, channels, 1))
    if frame.format != "NV12":
        return pixels, pixels[:0]
    second = pair.memory[first + frame.pitch * frame.height :]
    return pixels, rows(second, (frame.height // 2, frame.width // 2, 2), (frame.pitch, 2, 1))


def paint(pair: Pair, faces: FaceArray, thickness: int) -> None:
    """Paint the boxes one after the other, the best last."""
    pixels, chroma = planes_of(pair)
    palette = palette_for(pair.device.format, pair.device.colour)
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    outwards, inwards = thickness // 2, (thickness - 1) // 2
    for face in faces[::-1]:
        if not np.isfinite(face["box"]).all():
            continue
        box = np.rint(face["box"]).astype(int)
        x1, y1, x2, y2 = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
        far = np.maximum(np.maximum(x1 - x, x - x2), np.maximum(y1 - y, y - y2)) <= outwards
        deep = np.minimum(np.minimum(x - x1, x2 - x), np.minimum(y - y1, y2 - y)) > inwards
        line = far & ~deep
        colour = palette[int(face["track"]) % len(palette) if face["track"] != NO_TRACK else 0]
        pixels[line] = colour[: pixels.shape[2]]
        if chroma.size:
            touched = line.reshape(chroma.shape[0], 2, chroma.shape[1], 2).any(axis=(1, 3))
            chroma[touched] = colour[1:]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-30, 90, width=32)] * 4, st.integers(-1, 20)), min_size=1, max_size=6),
    st.sampled_from(get_args(PixelFormat)),
    st.sampled_from(get_args(YuvColour)),
    st.sampled_from([0, 3, 20]),
    st.integers(1, 9),
    st.booleans(),
)
def test_boxes_are_painted_best_on_top(
    rows: list[tuple[float, ...]],
    format: PixelFormat,
    colour: YuvColour,
    padding: int,
    thickness: int,
    backwards: bool,
) -> None:
    values = np.array(rows, np.float64)
    faces = faces_at(values[:, :4], values[:, 4].astype(int))
    got, wanted = (framed(62, 48, format, colour, padding) for _ in range(2))
    paint(wanted, faces, thickness)
    reverse_order(backwards)
    try:
        drawn(got, faces, thickness)
    finally:
        reverse_order(False)
    np.testing.assert_array_equal(got.memory, wanted.memory)


def test_a_thin_box_is_opencvs() -> None:
    pair = framed(60, 40, "BGR")
    expected = pair.host.pixels.copy()
    cv2.rectangle(expected, (5, 7), (33, 39), TRACKS[0], 1)
    drawn(pair, faces_at(np.array([[5.2, 6.8, 33, 39.4]])))
    np.testing.assert_array_equal(planes_of(pair)[0], expected)


@pytest.mark.parametrize(
    "box",
    [
        (np.nan, 1, 2, 3),
        (1, 1, 20, np.inf),
        (-np.inf, 1, 20, 30),
        (100, 100, 200, 200),
        (-1e30, -1e30, 1e30, 1e30),
        (-9, -9, -3, -3),
    ],
)
def test_boxes_that_cannot_be_seen_change_nothing(box: tuple[float, ...]) -> None:
    pair = framed(60, 40, "NV12")
    before = pair.memory.copy()
    drawn(pair, faces_at(np.array([box])))
    np.testing.assert_array_equal(pair.memory, before)


def test_only_faces_below_the_count_are_drawn() -> None:
    faces = faces_at(np.array([[5, 5, 20, 20], [25, 5, 40, 20]]))
    for count in (0, 1, 2, 9):
        got, wanted = framed(60, 40), framed(60, 40)
        paint(wanted, faces[:count], 1)
        drawn(got, faces, count=count)
        np.testing.assert_array_equal(got.memory, wanted.memory)


@pytest.mark.parametrize("colour", get_args(YuvColour))
def test_nv12_shows_the_colours_of_the_tracks(colour: YuvColour) -> None:
    for (luma, u, v), bgr in zip(palette_for("NV12", colour).tolist(), TRACKS, strict=True):
        pixels = np.array([[luma, luma], [luma, luma], [u, v]], np.uint8)
        shown = bgr_from_frame(Frame(pixels, "NV12", colour=colour))[0, 0]
        np.testing.assert_allclose(shown.astype(int), bgr, atol=3)


def test_other_palettes_are_opencvs() -> None:
    colours = np.array(TRACKS, np.uint8)[None]
    np.testing.assert_array_equal(palette_for("BGR"), colours[0])
    np.testing.assert_array_equal(palette_for("RGB"), colours[0, :, ::-1])
    np.testing.assert_array_equal(palette_for("GRAY")[:, 0], cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)[0])


@pytest.mark.parametrize(
    ("capacity", "thickness", "message"),
    [
        (0, 1, "boxes of 0 faces cannot be drawn at once; expected 1 to 65535"),
        (70000, 1, "boxes of 70000 faces cannot be drawn"),
        (4, 0, "a line of 0 pixels is impossible; expected 1 to 1000"),
    ],
)
def test_impossible_drawers_are_refused(capacity: int, thickness: int, message: str) -> None:
    driver = ShimDriver()
    with pytest.raises(InputError, match=message):
        BoxDrawer(driver, kernels_on(driver), capacity, thickness=thickness)


def test_frames_and_records_that_do_not_fit_are_refused() -> None:
    driver, count = ShimDriver(), tensor_of(np.zeros(1, np.int32))
    with closing(BoxDrawer(driver, kernels_on(driver), 2, "NV12", "bt709")) as drawer:
        for pair in (framed(4, 4), framed(4, 4, "NV12")):
            with pytest.raises(InputError, match="this drawer is for NV12 bt709 frames, not"):
                drawer.into(pair.device, tensor_of(empty_faces(1)), count, STREAM)
        frame = framed(4, 4, "NV12", "bt709").device
        for records in (empty_faces(3), np.zeros(2, np.float32)):
            with pytest.raises(InputError, match=r"expected 1 to 2 of vultus\.FACE"):
                drawer.into(frame, tensor_of(records), count, STREAM)
