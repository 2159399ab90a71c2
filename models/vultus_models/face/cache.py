"""The crop cache: every picture aligned once, with a margin, in one memory-mapped array a set.

A cached crop is SIDE pixels wide and its middle CROP pixels are what the runtime would cut, to the pixel, so an
evaluation reads the middle and a training sample cuts a jittered crop out of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vultus.geometry import FACE_TEMPLATE, apply_affine, similarity_from_points, template_points
from vultus.preprocess import crops
from vultus.spec import InputSpec
from vultus_models.data.sets import PictureSet, open_set
from vultus_models.face.labels import LABELS, held_out, label_of, true_points
from vultus_models.teachers.yunet import Found

__all__ = ["CROP", "FACES", "MARGIN", "SIDE", "Crops", "build_set", "open_crops", "points_for"]

Array = npt.NDArray[np.float64]
Detector = Callable[[npt.NDArray[np.uint8]], Found]

CROP, MARGIN = 112, 24
SIDE = CROP + 2 * MARGIN

FACES = np.dtype(
    [
        ("val", np.bool_),
        ("detected", np.bool_),  # the points come from the detector
        ("frame_to_crop", np.float64, (2, 3)),  # picture pixels to the pixels of the cached crop
        ("points", np.float32, (5, 2)),  # the points that the crop was aligned by, in cached pixels
        ("five", np.float32, (5, 2)),  # the labelled five points in cached pixels, NaN
        ("landmarks", np.float32, (68, 2)),  # the labelled landmarks in cached pixels, NaN
        ("labels", LABELS),
    ]
)


@dataclass(frozen=True)
class Crops:
    """One cached set: pictures (n, SIDE, SIDE, 3) uint8 BGR, faces (n,) of dtype FACES, pose (n, 3) degrees.

    pose: yaw, pitch, roll in the cached crop's frame, NaN where the teacher did not run.
    """

    name: str
    pictures: npt.NDArray[np.uint8]
    faces: npt.NDArray[np.void]
    pose: npt.NDArray[np.float32]


def points_for(bgr: npt.NDArray[np.uint8], found: Found, true: Array | None) -> tuple[Array, bool]:
    """Choose the five points to align by, and say whether the detector gave them.

    With labelled points the detector's face must match them; without, its most central large face is taken.
    Else the labelled points, else the template spread over the whole picture.
    """
    height, width = bgr.shape[:2]
    if true is not None:
        distance = np.linalg.norm(found.points - true, axis=2).mean(axis=1)
        reach = 0.25 * np.linalg.norm(true[:2].mean(axis=0) - true[3:].mean(axis=0)) + 2
        best = int(distance.argmin()) if len(distance) else -1
        return (found.points[best], True) if best >= 0 and distance[best] < reach else (true, False)
    if len(found.scores):
        centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        size = np.sqrt(np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1))
        off = np.linalg.norm(centres - np.array([width, height]) / 2, axis=1)
        return found.points[int((size - off).argmax())], True
    return FACE_TEMPLATE * np.array([width, height]) - 0.5, False


def build_set(data: Path, name: str, out: Path, detector: Detector) -> None:
    """Align the train and val pictures of a set and write NAME.npy and NAME.faces.npy into `out`."""
    source = open_set(data, name)
    rows = source.of("train", "val")
    out.mkdir(parents=True, exist_ok=True)
    faces = np.zeros(len(rows), FACES)
    unfinished = out / f"{name}.part"
    shape = (len(rows), SIDE, SIDE, 3)
    store = np.lib.format.open_memmap(unfinished, "w+", np.uint8, shape)
    for index, row in enumerate(rows):
        _cut(source, row, detector, store[index], faces[index : index + 1])
    store.flush()
    np.save(out / f"{name}.faces.npy", faces)
    unfinished.replace(out / f"{name}.npy")


def _cut(
    source: PictureSet,
    row: dict[str, str],
    detector: Detector,
    picture: npt.NDArray[np.uint8],
    face: npt.NDArray[np.void],
) -> None:
    bgr = source.picture(row)
    true = true_points(source.name, row)
    points, detected = points_for(bgr, detector(bgr), None if true is None else true[0])
    affine = similarity_from_points(points[None], template_points(CROP))
    affine[:, :, 2] += MARGIN
    spec = InputSpec("crop", SIDE, SIDE, scale=(1.0, 1.0, 1.0))
    picture[...] = crops(bgr, affine, spec)[0].transpose(1, 2, 0) + spec.mean
    face["val"] = row["split"] == "val" or held_out(source.name, row)
    face["detected"], face["frame_to_crop"] = detected, affine
    face["points"] = apply_affine(affine[0], points)
    face["five"] = np.nan if true is None else apply_affine(affine[0], true[0])
    face["landmarks"] = np.nan if true is None else apply_affine(affine[0], true[1])
    face["labels"] = label_of(source.name, row)


def open_crops(cache: Path, name: str) -> Crops:
    """Open a cached set without reading its pictures into memory."""
    pictures = np.load(cache / f"{name}.npy", mmap_mode="r")
    faces = np.load(cache / f"{name}.faces.npy")
    path = cache / f"{name}.pose.npy"
    pose = np.load(path) if path.exists() else np.full((len(faces), 3), np.nan, np.float32)
    return Crops(name, pictures, faces, pose)
