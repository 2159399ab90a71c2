"""The letterbox of a fused file against that of the runtime, at every size that breaks resampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.geometry import apply_affine, invert_affine
from vultus.preprocess import input_size, letterbox
from vultus.spec import InputSpec
from vultus_export.fuse.graph import Graph, Value
from vultus_export.fuse.letterbox import letterbox as fused_letterbox

SPEC = InputSpec("image", 320, 256, multiple=32, enlarge=2.0)
UNEVEN = replace(SPEC, channels="RGB", mean=(123.7, 116.3, 103.5), scale=(0.017, 0.0175, 0.0174))

EXACT = [(320, 256), (640, 512), (960, 768), (160, 128), (100, 80), (1, 1)]
"""Sizes (width, height) at which every sample falls on a pixel or midway, or the frame is enlarged evenly."""
ODD = [(1, 2), (2, 1), (3, 1), (37, 53), (641, 479), (1000, 40), (33, 900), (1281, 721)]


def runs(runner: Any, spec: InputSpec, size: tuple[int, int] | None) -> Any:
    def part(g: Graph, inputs: dict[str, Value]) -> dict[str, Value]:
        box = fused_letterbox(g, inputs["frame"], spec, size)
        return {"tensor": box.tensor, "pixel": box.pixel}

    shapes = {"tensor": [1, 3, "h", "w"], "pixel": [2]}
    return runner(part, {"frame": (np.uint8, ["rows", "columns", 3])}, shapes)


@pytest.fixture(scope="module", params=["free", "fixed", "uneven"])
def case(request: pytest.FixtureRequest, runner: Any) -> tuple[InputSpec, Any]:
    """Return the spec that the runtime sees and the fused letterbox."""
    if request.param == "fixed":
        return replace(SPEC, multiple=0), runs(runner, SPEC, (SPEC.width, SPEC.height))
    spec = SPEC if request.param == "free" else UNEVEN
    return spec, runs(runner, spec, None)


@pytest.mark.parametrize("size", EXACT + ODD, ids=lambda size: f"{size[0]}x{size[1]}")
def test_equal_to_the_runtime_within_one_grey_level(
    case: tuple[InputSpec, Any], size: tuple[int, int]
) -> None:
    spec, run = case
    noise = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    frame = np.asarray(cv2.GaussianBlur(noise, (5, 5), 1.0), np.uint8)
    wanted, affine = letterbox(frame, spec)
    got = run(frame=frame)
    assert got["tensor"].shape == wanted.shape
    levels = np.abs(got["tensor"] - wanted) / np.reshape(spec.scale, (3, 1, 1))
    assert levels.max() < 1.01
    assert (levels > 0.01).mean() < 0.2
    corners = np.array([[0.0, 0.0], [7.25, 31.5]])
    back = (corners + 0.5) * got["pixel"] - 0.5
    np.testing.assert_allclose(back, apply_affine(invert_affine(affine), corners), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "size", [(320, 256), (640, 512), (960, 768)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_whole_ratios_are_equal_to_the_bit(case: tuple[InputSpec, Any], size: tuple[int, int]) -> None:
    spec, run = case
    frame = np.random.default_rng(4).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    np.testing.assert_allclose(run(frame=frame)["tensor"], letterbox(frame, spec)[0], rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def free(runner: Any) -> Any:
    """Return the letterbox whose size follows the frame."""
    return runs(runner, SPEC, None)


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 700), height=st.integers(1, 700))
def test_any_frame_gets_the_runtimes_input_size(free: Any, width: int, height: int) -> None:
    wide, tall = input_size(width, height, SPEC)
    got = free(frame=np.full((height, width, 3), 255, np.uint8))["tensor"]
    assert got.shape == (1, 3, tall, wide)
    wanted, _ = letterbox(np.full((height, width, 3), 255, np.uint8), SPEC)
    np.testing.assert_array_equal(got != 0, wanted != 0)
