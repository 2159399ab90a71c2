"""Points of faces all over a frame, and their affines by the device's own kernel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shim_driver import ShimDriver, kernels_on, tensor_of
from vultus.cuda.faces import Aligner
from vultus.geometry import template_points
from vultus.spec import Head, InputSpec, ModelSpec
from vultus.types import empty_faces

__all__ = ["CROP", "SPEC", "aligned", "face_points"]

CROP = 112
SPEC = ModelSpec(
    "test-face", "1", "face", InputSpec("image", CROP, CROP), heads=(Head("angles", "euler", "pose"),)
)


def face_points(count: int, seed: int, frame: tuple[int, int] = (3840, 2160)) -> npt.NDArray[np.float32]:
    """Points (count, 5, 2) of faces of all sizes and turns, all over a frame."""
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(np.log(6), np.log(1500), count))
    angle = rng.uniform(-np.pi, np.pi, count)
    shape = template_points(1) + rng.normal(0, 0.03, (count, 5, 2))
    turn = np.stack(
        [np.stack([np.cos(angle), -np.sin(angle)], 1), np.stack([np.sin(angle), np.cos(angle)], 1)], 1
    )
    centre = rng.uniform(0, 1, (count, 1, 2)) * frame
    points = np.einsum("nij,nkj->nki", turn, shape) * sides[:, None, None] + centre
    return points.astype(np.float32)  # type: ignore[no-any-return]


def aligned(
    points: npt.NDArray[np.float32], start: int = 0, capacity: int | None = None
) -> npt.NDArray[np.float32]:
    """The affines by the kernel; rows of no face hold -1."""
    driver = ShimDriver()
    records = empty_faces(len(points))
    records["points"] = points
    affines = np.full((capacity or len(points), 2, 3), -1, np.float32)
    aligner = Aligner(driver, kernels_on(driver), SPEC, len(affines))
    count = np.array([len(points)], np.int32)
    aligner.into(tensor_of(records), tensor_of(count), start, tensor_of(affines), driver.stream())
    assert driver.launched == ["vultus_align"]
    return affines
