"""NV12 in its four colours: OpenCV's arithmetic, the standards' weights."""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np
import pytest

from vultus.errors import InputError
from vultus.preprocess import YUV_WEIGHTS, YuvWeights, bgr_from_frame
from vultus.types import Frame, YuvColour

STANDARDS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
"""Shares of red and blue in luma."""


def nv12(luma: int, u: int, v: int) -> np.ndarray:
    pixels = np.full((3, 2), luma, np.uint8)
    pixels[2] = u, v
    return pixels


def by_the_standard(colour: YuvColour, luma: float, u: float, v: float) -> np.ndarray:
    """Return blue, green and red as the recommendation's own formulas have them."""
    red_share, blue_share = STANDARDS[colour[:5]]
    full = colour.endswith("-full")
    y = luma / 255 if full else (max(luma, 16) - 16) / 219
    cb, cr = ((value - 128) / (255 if full else 224) for value in (u, v))
    red, blue = y + 2 * (1 - red_share) * cr, y + 2 * (1 - blue_share) * cb
    green = (y - red_share * red - blue_share * blue) / (1 - red_share - blue_share)
    return np.clip([255 * blue, 255 * green, 255 * red], 0, 255)


@pytest.mark.parametrize("colour", get_args(YuvColour))
def test_every_colour_follows_its_standard(colour: YuvColour) -> None:
    values = np.random.default_rng(1).integers(0, 256, (500, 3))
    for luma, u, v in [*values.tolist(), [16, 128, 128], [235, 128, 128], [255, 255, 0], [0, 0, 0]]:
        got = bgr_from_frame(Frame(nv12(luma, u, v), "NV12", colour=colour))
        wanted = by_the_standard(colour, luma, u, v)
        assert (np.abs(got - wanted) <= 1.1).all(), (colour, luma, u, v, got[0, 0], wanted)


def test_the_default_is_what_opencv_gives_and_so_is_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (30, 38), np.uint8)
    expected = cv2.cvtColor(pixels, cv2.COLOR_YUV2BGR_NV12)
    np.testing.assert_array_equal(bgr_from_frame(Frame(pixels, "NV12")), expected)
    monkeypatch.setitem(YUV_WEIGHTS, "bt709", YUV_WEIGHTS["bt601"])
    np.testing.assert_array_equal(bgr_from_frame(Frame(pixels, "NV12", colour="bt709")), expected)


def test_weights_are_the_rounded_standards() -> None:
    for colour in ("bt601-full", "bt709", "bt709-full"):
        red, blue = STANDARDS[colour[:5]]
        y, c = (1.0, 1.0) if colour.endswith("-full") else (255 / 219, 255 / 224)
        green = 1 - red - blue
        values = (y, 2 * (1 - red) * c, -2 * (1 - blue) * blue / green * c, -2 * (1 - red) * red / green * c)
        wanted = [round(value * 2**20) for value in (*values, 2 * (1 - blue) * c)]
        assert YUV_WEIGHTS[colour] == YuvWeights(0 if y == 1.0 else 16, *wanted)


def test_other_formats_do_not_look_at_the_colour() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(
        bgr_from_frame(Frame(grey, "GRAY", colour="bt709")), bgr_from_frame(Frame(grey, "GRAY"))
    )


def test_an_unknown_colour_is_refused() -> None:
    with pytest.raises(InputError, match=r"colour 'bt2020' is unknown; expected one of \('bt601', "):
        Frame(nv12(0, 0, 0), "NV12", colour="bt2020")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (5, 4)])
def test_an_nv12_frame_with_odd_sides_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"NV12 frame must have shape .* with even sides"):
        Frame(np.zeros(shape, np.uint8), "NV12", colour="bt709")
