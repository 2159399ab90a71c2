"""Builds what the crop cache lacks: aligned crops by YuNet, head pose by 3DDFA. Minutes, once.

Without teachers, crops are aligned by the labelled points, or as if a face filled its picture, and no pose is known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vultus_models.face.cache import Crops, build_set, open_crops
from vultus_models.teachers.tddfa import PoseTeacher
from vultus_models.teachers.yunet import Found, YuNet

__all__ = ["POSED", "build_missing", "build_pose"]

POSED = ("utkface", "celeba", "mtfl", "mebeauty", "landmarks68", "video68")
"""Sets whose pictures are sharp enough for the pose teacher."""

WINDOW = (slice(38, 160), slice(19, 141))
"""Rows and columns of a cached crop that the pose teacher sees: the box that it was trained on, for a face in
the template's place (box sides times 1.58, its centre lowered by .14)."""


def build_missing(data: Path, cache: Path, names: Sequence[str], weights: Path | None) -> list[Crops]:
    """Build the crops and poses that `cache` lacks, then open the sets.

    weights: the folder of the teachers' weights; None does without them.
    """
    log = logging.getLogger(__name__)
    for name in names:
        if not (cache / f"{name}.npy").exists():
            log.info("aligning the pictures of %s", name)
            build_set(data, name, cache, _detector(weights))
        if weights and name in POSED and not (cache / f"{name}.pose.npy").exists():
            log.info("measuring the head pose in %s", name)
            build_pose(cache, name, _pose_teacher(weights))
    return [open_crops(cache, name) for name in names]


def build_pose(cache: Path, name: str, teacher: PoseTeacher, batch: int = 64) -> None:
    """Run the pose teacher over a cached set and write NAME.pose.npy: (n, 3) degrees in the crop's frame."""
    pictures = open_crops(cache, name).pictures
    parts: list[npt.NDArray[np.float64]] = []
    for start in range(0, len(pictures), batch):
        parts.append(teacher(pictures[start : start + batch, WINDOW[0], WINDOW[1]]))
    np.save(cache / f"{name}.pose.npy", np.concatenate(parts).astype(np.float32))


def _detector(weights: Path | None) -> Callable[[npt.NDArray[np.uint8]], Found]:
    return YuNet(weights / "yunet" / "yunet_n_dynamic.onnx") if weights else _nothing


def _nothing(bgr: npt.NDArray[np.uint8]) -> Found:
    return Found(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0))


def _pose_teacher(weights: Path) -> PoseTeacher:
    folder = weights / "3ddfa"
    return PoseTeacher(folder / "mb05_120x120.pth", folder / "param_mean_std_62.json")
