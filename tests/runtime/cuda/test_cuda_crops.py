"""The shipped crop kernels, on the host through the shim, against exact arithmetic and against OpenCV's.

Tolerances are in grey levels, of frames of noise, where a place that is off by a share of a pixel shows most.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from device_pictures import Pair, framed
from halving import halved, halvings_at
from shim import reverse_order
from shim_driver import HostStream, ShimDriver, kernels_on, tensor_of
from vultus.cuda.preprocess import Crops
from vultus.cuda.tensors import DeviceTensor
from vultus.errors import InputError
from vultus.geometry import apply_affine, invert_affine
from vultus.preprocess import bgr_from_frame, crops
from vultus.spec import InputSpec
from vultus.types import PixelFormat, YuvColour

Array = npt.NDArray[Any]

CROP = InputSpec("image", 30, 26, mean=(10, 128, 200), scale=(1.0, 1.0, 1.0))
RGB = InputSpec("image", 30, 26, channels="RGB", mean=(90, 20, 55), scale=(0.5, 0.25, 2.0))
STREAM = HostStream()
UNTOUCHED = 777.0

RAMP, SHIFT = np.array([[0, 255]], np.uint8), np.array([[1, 0, -0.4], [0, 1, 0]])
ROUNDED_PLACES = int(cv2.warpAffine(RAMP, SHIFT, (1, 1))[0, 0]) != 102
"""Whether this OpenCV takes the nearest 32nd of a pixel; 4.10 does, 5.0 is exact to float32."""

NOISE_TOLERANCE = 8 if ROUNDED_PLACES else 1
SMOOTH_TOLERANCE = 2 if ROUNDED_PLACES else 1


def affine_at(scale: float, turn: float, centre: tuple[float, float], spec: InputSpec = CROP) -> Array:
    """Return the similarity (2, 3) float32 that brings a place of the frame to the crop's centre."""
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([spec.width - 1, spec.height - 1]) / 2
    return np.hstack([linear, (middle - linear @ centre)[:, None]]).astype(np.float32)


def on_device(
    pair: Pair,
    affines: Array,
    spec: InputSpec = CROP,
    count: int | None = None,
    start: int = 0,
    dtype: npt.DTypeLike = np.float32,
) -> Array:
    """Return the crops that the kernels make; what they do not write stays UNTOUCHED."""
    driver, number = ShimDriver(), len(affines)
    faces = np.array([start + number if count is None else count], np.int32)
    out: Array = np.full((number, 3, spec.height, spec.width), UNTOUCHED, dtype)
    with closing(Crops(driver, kernels_on(driver), spec, number)) as step:
        step.into(
            pair.device,
            tensor_of(np.ascontiguousarray(affines)),
            tensor_of(faces),
            start,
            tensor_of(out),
            STREAM,
        )
    return out


def exact(pair: Pair, affine: Array, spec: InputSpec) -> Array:
    """Return the crop (3, h, w) before it is normalised, samples unrounded, in double precision."""
    planes = bgr_from_frame(pair.host).astype(np.int64)[..., :: 1 if spec.channels == "BGR" else -1]
    times = halvings_at(float(np.sqrt(abs(np.linalg.det(affine[:, :2].astype(float))))))
    planes = halved(planes, times)
    y, x = np.mgrid[: spec.height, : spec.width]
    places = (apply_affine(invert_affine(affine), np.stack([x, y], -1)) + 0.5) / 2**times - 0.5
    padded = np.empty((planes.shape[0] + 2, planes.shape[1] + 2, 3))
    padded[...] = spec.mean
    padded[1:-1, 1:-1] = planes
    at = np.clip(places + 1, 0, np.array(padded.shape[1::-1]) - 1.000001)
    low = np.floor(at).astype(int)
    share, (column, row) = (at - low)[..., None], np.moveaxis(low, -1, 0)
    top = padded[row, column] * (1 - share[..., 0, :]) + padded[row, column + 1] * share[..., 0, :]
    bottom = padded[row + 1, column] * (1 - share[..., 0, :]) + padded[row + 1, column + 1] * share[..., 0, :]
    return np.asarray((top * (1 - share[..., 1, :]) + bottom * share[..., 1, :]).transpose(2, 0, 1))


def levels(tensor: Array, spec: InputSpec) -> Array:
    """Return a tensor's grey levels."""
    mean, scale = (np.reshape(values, (3, 1, 1)) for values in (spec.mean, spec.scale))
    return np.asarray(tensor / scale + mean)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from(get_args(PixelFormat)),
    st.sampled_from(get_args(YuvColour)),
    st.sampled_from([0, 1, 4, 13]),
    st.floats(0.05, 6.0),
    st.floats(-3.2, 3.2),
    st.tuples(st.floats(-20, 110), st.floats(-20, 110)),
    st.sampled_from([CROP, RGB]),
)
def test_every_crop_is_exact_and_close_to_the_hosts(
    width: int,
    height: int,
    format: PixelFormat,
    colour: YuvColour,
    padding: int,
    scale: float,
    turn: float,
    centre: tuple[float, float],
    spec: InputSpec,
) -> None:
    # Where the number of halvings changes, float32 and double may choose differently.
    assume(halvings_at(scale * 1.001) == halvings_at(scale / 1.001))
    even = 2 if format == "NV12" else 1
    pair = framed(-(-width // even) * even, -(-height // even) * even, format, colour, padding, seed=width)
    affine = affine_at(scale, turn, centre, spec)
    got = levels(on_device(pair, affine[None], spec), spec)[0]
    # Half a level for the rounding of samples, and a hundredth for places in float32.
    assert np.abs(got - exact(pair, affine, spec)).max() <= 0.51
    host = levels(crops(bgr_from_frame(pair.host), affine[None], spec), spec)[0]
    assert np.abs(got - host).max() <= NOISE_TOLERANCE + 1e-3


@pytest.mark.parametrize("scale", [0.03, 0.14, 0.2, 0.3, 0.7, 1.0, 2.3])
def test_crops_of_smooth_pictures_differ_by_single_levels_at_most(scale: float) -> None:
    pair = framed(640, 360, "BGR", smooth=True)
    affines = np.stack([affine_at(scale, turn, (300 + turn, 170)) for turn in (-0.5, 0.1, 1.0)])
    host = crops(bgr_from_frame(pair.host), affines, CROP)
    assert np.abs(on_device(pair, affines) - host).max() <= SMOOTH_TOLERANCE + 1e-3


@pytest.mark.skipif(ROUNDED_PLACES, reason="this OpenCV rounds places to 1/32 pixel")
def test_hardly_a_value_differs_from_an_opencv_that_is_exact() -> None:
    pair = framed(1920, 1080, "BGR")
    affines = np.stack([affine_at(0.07 * 1.4**n, 0.3 * n, (100 + 170 * n, 80 + 90 * n)) for n in range(10)])
    host = crops(bgr_from_frame(pair.host), affines, CROP)
    assert (np.abs(on_device(pair, affines) - host) > 0.5).mean() < 0.01


def test_a_crop_wholly_outside_the_frame_is_the_means_colour() -> None:
    for format in get_args(PixelFormat):
        pair = framed(20, 10, format)
        far = np.stack([affine_at(1.0, 0.3, place) for place in ((-500, 5), (5, 500), (1e6, -1e6))])
        for spec in (CROP, RGB):
            assert (on_device(pair, far, spec) == 0).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e-20, 1e20])
def test_an_affine_that_cannot_be_turned_back_gives_the_means_colour(value: float) -> None:
    affine = np.full((1, 2, 3), value, np.float32)
    assert (on_device(framed(20, 10), affine) == 0).all()


def test_a_shift_that_is_no_number_gives_the_means_colour() -> None:
    affine = affine_at(1.0, 0.0, (10, 5))
    affine[:, 2] = np.nan
    assert (on_device(framed(20, 10), affine[None]) == 0).all()


@pytest.mark.parametrize(
    ("count", "start", "made"),
    [(0, 0, 0), (3, 0, 3), (4, 0, 4), (9, 0, 4), (6, 4, 2), (4, 4, 0), (3, 4, 0), (100, 4, 4), (-1, 0, 0)],
)
def test_only_faces_below_the_count_are_cropped(count: int, start: int, made: int) -> None:
    pair = framed(50, 40)
    affines = np.stack([affine_at(0.8, 0.2 * n, (20, 20)) for n in range(4)])
    everything, got = on_device(pair, affines), on_device(pair, affines, count=count, start=start)
    np.testing.assert_array_equal(got[:made], everything[:made])
    assert (everything != UNTOUCHED).all()
    assert (got[made:] == UNTOUCHED).all()


def test_a_pixel_alone() -> None:
    pair = framed(1, 1, "BGR", seed=8)
    wide = np.array([[[100, 0, 14], [0, 100, 12]]], np.float32)
    crop = levels(on_device(pair, wide), CROP)[0]
    np.testing.assert_array_equal(crop[:, 12, 14], pair.host.pixels[0, 0])


def test_the_identity_copies() -> None:
    pair = framed(CROP.width, CROP.height, "BGR", seed=9)
    same = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    np.testing.assert_array_equal(levels(on_device(pair, same), CROP)[0], pair.host.pixels.transpose(2, 0, 1))


def test_half_precision_is_single_precision_rounded() -> None:
    pair, spec = framed(50, 40), InputSpec("image", 30, 26)
    affine = affine_at(0.4, 0.3, (20, 20), spec)[None]
    expected = on_device(pair, affine, spec).astype(np.float16)
    np.testing.assert_array_equal(on_device(pair, affine, spec, dtype=np.float16), expected)


def test_whole_words_give_what_bytes_give_and_order_does_not_matter() -> None:
    words, shifted = framed(52, 40, seed=5), framed(52, 40, shift=1, seed=5)
    affines = np.stack([affine_at(0.3 * (n + 1), 0.2 * n, (20, 20)) for n in range(4)])
    expected = on_device(words, affines)
    np.testing.assert_array_equal(on_device(shifted, affines), expected)
    reverse_order(True)
    try:
        np.testing.assert_array_equal(on_device(words, affines), expected)
    finally:
        reverse_order(False)


def test_a_mean_between_grey_levels_fills_with_the_nearest() -> None:
    spec = InputSpec("image", 8, 8, mean=(127.5, 300.0, 10.4), scale=(1.0, 1.0, 1.0))
    far = affine_at(1.0, 0.0, (900, 900), spec)[None]
    pair = framed(20, 10)
    np.testing.assert_array_equal(on_device(pair, far, spec), crops(bgr_from_frame(pair.host), far, spec))


FLOAT, INT = np.dtype(np.float32), np.dtype(np.int32)
GOOD = {"affines": (4, 2, 3), "out": (4, 3, 26, 30)}


@pytest.mark.parametrize(
    ("change", "start", "message"),
    [
        ({"out": (5, 3, 26, 30)}, 0, r"shape \(1 to 4, 3, 26, 30\), not \(5, 3, 26, 30\)"),
        ({"out": (0, 3, 26, 30)}, 0, r"shape \(1 to 4, 3, 26, 30\), not \(0, 3, 26, 30\)"),
        ({"out": (4, 3, 30, 26)}, 0, r"shape \(1 to 4, 3, 26, 30\), not \(4, 3, 30, 26\)"),
        ({"affines": (3, 2, 3)}, 0, r"4 crops need affines of shape \(4 or more, 2, 3\) .* not \(3, 2, 3\)"),
        ({"affines": (4, 3, 3)}, 0, r"not \(4, 3, 3\) and float32"),
        ({}, -1, r"face 0 or later, not -1"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    change: dict[str, tuple[int, ...]], start: int, message: str
) -> None:
    shapes = GOOD | change
    driver = ShimDriver()
    affines, out = (DeviceTensor(256, shapes[name], FLOAT) for name in ("affines", "out"))
    with closing(Crops(driver, kernels_on(driver), CROP, 4)) as step:
        with pytest.raises(InputError, match=message):
            step.into(framed(9, 9).device, affines, DeviceTensor(256, (1,), INT), start, out, STREAM)
        assert driver.launched == []


@pytest.mark.parametrize("capacity", [0, -1, 65536])
def test_impossible_capacities_are_refused(capacity: int) -> None:
    driver = ShimDriver()
    with pytest.raises(InputError, match=f"a batch of {capacity} crops is impossible; expected 1 to 65535"):
        Crops(driver, kernels_on(driver), CROP, capacity)
