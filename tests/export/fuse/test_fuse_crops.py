"""Alignment and crops in the graph against those of the runtime: small and huge faces, turned, half outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.geometry import (
    FACE_TEMPLATE,
    apply_affine,
    crop_affines,
    invert_affine,
    rotation_of,
    template_points,
)
from vultus.preprocess import crops
from vultus.spec import InputSpec
from vultus_export.fuse.align import align
from vultus_export.fuse.crops import crops as fused_crops
from vultus_export.fuse.graph import Graph, Value

SPEC = InputSpec("image", 48, 48)
OTHERS = {
    "rgb": replace(SPEC, channels="RGB", mean=(100.0, 100.0, 100.0), scale=(0.01, 0.02, 0.03)),
    "tall": replace(SPEC, height=64),
}

Points = npt.NDArray[np.float32]


def face_points(side: float, turn: float, x: float, y: float) -> Points:
    """Return the five points of a face of a given side, turned by degrees about its middle: (5, 2)."""
    angle = np.radians(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray((FACE_TEMPLATE - 0.5) * side @ matrix.T + (x, y), np.float32)


def picture(width: int, height: int) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(8).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (7, 7), 2.0), np.uint8)


def cropper(runner: Any, spec: InputSpec) -> Any:
    def part(g: Graph, inputs: dict[str, Value]) -> dict[str, Value]:
        aligned = align(g, inputs["points"], spec)
        probe = g.constant([[0.0, 0.0], [spec.width - 1.0, 9.0]], np.float32)
        return {
            "crops": fused_crops(g, inputs["frame"], aligned, spec),
            "probe": aligned.to_frame(g, probe),
            "turn": g.op("Concat", aligned.cosine, aligned.sine, axis=1),
        }

    inputs = {"frame": (np.uint8, ["h", "w", 3]), "points": (np.float32, ["k", 5, 2])}
    outputs = {"crops": ["k", 3, spec.height, spec.width], "probe": ["k", 2, 2], "turn": ["k", 2]}
    return runner(part, inputs, outputs)


@pytest.fixture(scope="module")
def plain(runner: Any) -> Any:
    return cropper(runner, SPEC)


def assert_same_crops(run: Any, spec: InputSpec, frame: npt.NDArray[np.uint8], points: Points) -> None:
    affines = crop_affines(points, spec.width)
    wanted, got = crops(frame, affines, spec), run(frame=frame, points=points)["crops"]
    assert got.shape == wanted.shape
    levels = np.abs(got - wanted) / np.reshape(spec.scale, (3, 1, 1))
    assert levels.max(initial=0) < 1.01, "more than a grey level"
    assert levels.size == 0 or (levels > 0.5).mean() < 0.05


SIDES = [10.0, 40.0, 90.0, 130.0, 190.0, 400.0]
"""From a face smaller than its crop to one sampled at 4 x 4 places a pixel."""


@pytest.mark.parametrize("turn", [0.0, 17.0, 90.0, 200.0])
@pytest.mark.parametrize("side", SIDES)
def test_crops_of_every_size(plain: Any, side: float, turn: float) -> None:
    assert_same_crops(plain, SPEC, picture(300, 240), face_points(side, turn, 151.3, 118.6)[None])


def test_several_faces_of_unlike_size_in_one_call(plain: Any) -> None:
    faces = [face_points(side, 5.0, 30 + 40.0 * place, 100.0) for place, side in enumerate(SIDES)]
    assert_same_crops(plain, SPEC, picture(300, 240), np.stack(faces))


@pytest.mark.parametrize(
    "where", [(0.0, 0.0), (299.5, 20.0), (150.0, 239.0), (-30.0, 100.0), (5000.0, -9000.0)]
)
@pytest.mark.parametrize("side", [20.0, 200.0])
def test_outside_of_the_frame_lies_the_mean(plain: Any, where: tuple[float, float], side: float) -> None:
    assert_same_crops(plain, SPEC, picture(300, 240), face_points(side, 12.0, *where)[None])


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 5), (17, 1)], ids=str)
def test_tiny_frames(plain: Any, size: tuple[int, int]) -> None:
    assert_same_crops(plain, SPEC, picture(*size), face_points(12.0, 30.0, 0.7, 0.4)[None])


@pytest.mark.parametrize("name", OTHERS)
def test_other_channels_means_and_shapes(runner: Any, name: str) -> None:
    run = cropper(runner, OTHERS[name])
    faces = np.stack([face_points(side, 8.0, 100.0, 20.0) for side in (30.0, 260.0)])
    assert_same_crops(run, OTHERS[name], picture(200, 160), faces)


@pytest.mark.parametrize(
    "points",
    [np.full((5, 2), 30.0), template_points(48)[:, ::-1] * [1, -1] + 500, np.zeros((5, 2))],
    ids=["in one place", "turned", "origin"],
)
def test_degenerate_points_map_as_in_the_runtime(plain: Any, points: npt.NDArray[np.float64]) -> None:
    assert_same_crops(plain, SPEC, picture(60, 60), points.astype(np.float32)[None])


@settings(max_examples=60, deadline=None)
@given(side=st.floats(4, 2000), turn=st.floats(-180, 180), x=st.floats(-100, 4000), y=st.floats(-100, 4000))
def test_the_inverse_similarity(plain: Any, side: float, turn: float, x: float, y: float) -> None:
    points = face_points(side, turn, x, y)[None]
    affine = crop_affines(points, 48)
    got = plain(frame=np.zeros((2, 2, 3), np.uint8), points=points)
    wanted = apply_affine(invert_affine(affine), np.array([[[0.0, 0.0], [47.0, 9.0]]]))
    np.testing.assert_allclose(got["probe"], wanted, rtol=1e-4, atol=2e-3 + side * 1e-4)
    turned = np.degrees(np.arctan2(got["turn"][0, 1], got["turn"][0, 0])) - rotation_of(affine)[0]
    assert abs((turned + 180) % 360 - 180) < 0.05
