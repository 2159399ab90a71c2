"""The shipped letterbox kernels, on the host through the shim, against the host's letterbox: the same bits."""

from __future__ import annotations

from contextlib import closing
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_pictures import Pair, framed
from shim import reverse_order
from shim_driver import HostStream, ShimDriver, kernels_on, tensor_of
from vultus.cuda.preprocess import Letterbox, resize_table
from vultus.cuda.tensors import DeviceFrame
from vultus.errors import InputError
from vultus.preprocess import bgr_from_frame, letterbox
from vultus.spec import InputSpec
from vultus.types import PixelFormat, YuvColour

FITTED = InputSpec("image", 96, 64, multiple=16)
FIXED = InputSpec("image", 50, 37, channels="RGB", mean=(1, 2, 3), scale=(1.0, 0.5, 2.0), enlarge=1.0)
MEAN, SCALE = (123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375)
TABLED = InputSpec("image", 64, 64, channels="RGB", mean=MEAN, scale=SCALE, enlarge=9.0)
SPECS = (FITTED, FIXED, TABLED)
STREAM = HostStream()


def on_device(pair: Pair, spec: InputSpec, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return what the kernels make of a frame; what they do not write stays 777."""
    driver, frame = ShimDriver(), pair.device
    kernels = kernels_on(driver)
    with closing(
        Letterbox(driver, kernels, spec, frame.width, frame.height, frame.format, frame.colour)
    ) as step:
        expected_affine = letterbox(bgr_from_frame(pair.host), spec)[1]
        np.testing.assert_array_equal(step.affine, expected_affine)
        out: npt.NDArray[Any] = np.full((1, 3, step.size[1], step.size[0]), 777, dtype)
        step.into(frame, tensor_of(out), STREAM)
    return out


def check(pair: Pair, spec: InputSpec) -> None:
    expected, _ = letterbox(bgr_from_frame(pair.host), spec)
    np.testing.assert_array_equal(on_device(pair, spec).view(np.uint32), expected.view(np.uint32))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 130),
    st.integers(1, 130),
    st.sampled_from(get_args(PixelFormat)),
    st.sampled_from(get_args(YuvColour)),
    st.sampled_from([0, 0, 1, 4, 13]),
    st.integers(0, 3),
    st.sampled_from(SPECS),
    st.integers(0, 9),
)
def test_every_frame_becomes_the_hosts_bits(
    width: int,
    height: int,
    format: PixelFormat,
    colour: YuvColour,
    padding: int,
    shift: int,
    spec: InputSpec,
    seed: int,
) -> None:
    even = 2 if format == "NV12" else 1
    width, height = -(-width // even) * even, -(-height // even) * even
    check(framed(width, height, format, colour, padding, shift, seed), spec)


@pytest.mark.parametrize("format", get_args(PixelFormat))
@pytest.mark.parametrize(
    ("size", "spec"),
    [
        ((2, 2), FITTED),
        ((2, 4), TABLED),
        ((96, 64), InputSpec("image", 96, 64)),  # nothing to resize
        ((192, 128), InputSpec("image", 96, 64)),  # halved: OpenCV's own path for areas
        ((24, 16), InputSpec("image", 96, 64, enlarge=4.0)),
        ((1920, 1080), FITTED),  # reduced twenty times
        ((3000, 10), FITTED),
        ((6, 1200), FIXED),
        ((250, 250), InputSpec("image", 3, 5)),
        ((60, 40), InputSpec("image", 1, 1)),
    ],
)
def test_sizes_that_are_odd_cases(format: PixelFormat, size: tuple[int, int], spec: InputSpec) -> None:
    check(framed(*size, format, "bt709", seed=3), spec)


@pytest.mark.parametrize("format", ["BGR", "RGB", "GRAY"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 77), (77, 1), (33, 31), (641, 479)])
def test_odd_sides(format: PixelFormat, size: tuple[int, int]) -> None:
    for spec in SPECS:
        check(framed(*size, format, seed=4), spec)


@pytest.mark.parametrize("spec", SPECS)
def test_half_precision_is_single_precision_rounded(spec: InputSpec) -> None:
    pair = framed(60, 44, "NV12", "bt709-full")
    expected = on_device(pair, spec).astype(np.float16)
    np.testing.assert_array_equal(on_device(pair, spec, np.float16).view(np.uint16), expected.view(np.uint16))


def test_the_order_of_threads_does_not_matter() -> None:
    pair = framed(61, 43, "RGB")
    expected = on_device(pair, FITTED)
    reverse_order(True)
    try:
        np.testing.assert_array_equal(on_device(pair, FITTED), expected)
    finally:
        reverse_order(False)


@pytest.mark.parametrize("width", [4, 8, 60])
def test_whole_words_give_what_bytes_give(width: int) -> None:
    words, bytes_alone = framed(width, 9, "BGR", seed=5), framed(width, 9, "BGR", shift=1, seed=5)
    assert (words.device.pointer % 4, bytes_alone.device.pointer % 4) == (0, 1)
    np.testing.assert_array_equal(on_device(words, TABLED), on_device(bytes_alone, TABLED))


def test_columns_are_neighbours_and_weights_add_up() -> None:
    for length in range(2, 40):
        for resized in range(1, 60):
            first, second, *weights = resize_table(length, resized).T
            assert (second == first + 1).all()
            assert (np.add(*weights) == 2048).all()
            assert first.min() >= 0
            assert second.max() < length


def letterbox_for(width: int, height: int, format: PixelFormat = "BGR", colour: str = "bt601") -> Letterbox:
    driver = ShimDriver()
    return Letterbox(driver, kernels_on(driver), FITTED, width, height, format, colour)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 2, "NV12"), r"an NV12 frame must have even sides, not 3x2"),
        ((2, 3, "NV12"), r"an NV12 frame must have even sides, not 2x3"),
        ((2, 2, "NV12", "bt2020"), r"colour 'bt2020' is unknown; expected one of \('bt601',"),
        ((2, 2, "YUY2"), r"pixel format 'YUY2' is unknown; expected one of \('BGR',"),
        ((0, 2), r"at least one pixel, not 0x2"),
    ],
)
def test_frames_that_no_letterbox_takes(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        letterbox_for(*arguments)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (DeviceFrame(256, 40, 30, 120), r"is for frames NV12 40x20 bt709, not BGR 40x30"),
        (DeviceFrame(256, 40, 20, 40, "NV12", 999), r"is for frames NV12 40x20 bt709, not NV12 40x20 bt601"),
        (DeviceFrame(256, 40, 20, 39, "NV12", 999), r"40 pixels wide has rows of 40 bytes; its pitch is 39"),
        (DeviceFrame(256, 40, 20, 40, "NV12"), r"needs the address of each of its planes; one is 0"),
        (DeviceFrame(0, 40, 20, 40, "GRAY"), r"needs the address of each of its planes; one is 0"),
    ],
)
def test_frames_that_this_letterbox_refuses(frame: DeviceFrame, message: str) -> None:
    out = tensor_of(np.zeros((1, 3, 64, 96), np.float32))
    with closing(letterbox_for(40, 20, "NV12", "bt709")) as step, pytest.raises(InputError, match=message):
        step.into(frame, out, STREAM)


def test_tensors_that_do_not_fit_are_refused() -> None:
    pair = framed(40, 20)
    with closing(letterbox_for(40, 20)) as step:
        wide, tall = step.size
        with pytest.raises(InputError, match=r"fills a tensor of shape \(1, 3, .*\), not \(1, 3, 1, 1\)"):
            step.into(pair.device, tensor_of(np.zeros((1, 3, 1, 1), np.float32)), STREAM)
        with pytest.raises(InputError, match="must be float32 or float16, not float64"):
            step.into(pair.device, tensor_of(np.zeros((1, 3, tall, wide))), STREAM)


@pytest.mark.parametrize(("spec", "tables"), [(FITTED, 2), (FIXED, 2), (TABLED, 3)])
def test_nothing_is_allocated_after_the_constructor(spec: InputSpec, tables: int) -> None:
    """A third table, of normalised values, is there only where float32 arithmetic would round otherwise."""
    driver, pair = ShimDriver(), framed(40, 20)
    with closing(Letterbox(driver, kernels_on(driver), spec, 40, 20)) as step:
        assert driver.allocations == tables
        out = tensor_of(np.zeros((1, 3, step.size[1], step.size[0]), np.float32))
        for _ in range(3):
            step.into(pair.device, out, STREAM)
        assert driver.allocations == tables
        assert driver.launched == ["vultus_letterbox_colour"] * 3
