"""Running picture sets through the runtime as a user would: find the face, align it, measure it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vultus.geometry import FACE_TEMPLATE, box_iou, boxes_around
from vultus.spec import ModelSpec
from vultus.types import FaceArray, Result, empty_faces
from vultus_models.data.sets import PictureSet

__all__ = [
    "SETS",
    "AnalyzerLike",
    "Choice",
    "Detections",
    "Measured",
    "Row",
    "central_face",
    "detections_of",
    "largest_face",
    "matching_face",
    "measured_faces",
    "true_boxes",
    "true_points",
    "whole_face",
]

Row = dict[str, str]
Choice = Callable[[FaceArray, Row], "int | None"]


class AnalyzerLike(Protocol):
    """The part of `vultus.Analyzer` that measuring uses."""

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """The contracts of the models in use, by task."""

    def __call__(self, picture: npt.NDArray[np.uint8]) -> Result:
        """Find and describe the faces of a BGR picture."""

    def detect(self, picture: npt.NDArray[np.uint8]) -> FaceArray:
        """Find the faces of a BGR picture."""

    def describe(self, picture: npt.NDArray[np.uint8], faces: FaceArray) -> FaceArray:
        """Fill the attributes of faces whose box and points are given."""


@dataclass(frozen=True)
class Measured:
    """The measured faces of a set, one for each row that gave one.

    rows, faces: equally long. total: rows that were tried. whole: how many faces are whole pictures taken as
    the crop because no face was found in them. ran_on: what really ran each stage.
    """

    rows: tuple[Row, ...]
    faces: FaceArray
    total: int
    whole: int
    ran_on: dict[str, str]

    def column(self, name: str) -> npt.NDArray[np.str_]:
        """Return a label of the rows as text."""
        return np.array([row[name] for row in self.rows], np.str_)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a label of the rows as numbers."""
        return np.array([row[name] for row in self.rows], np.float64)

    def where(self, keep: npt.NDArray[np.bool_]) -> Measured:
        """Return the faces for which `keep` (n,) is true."""
        rows = tuple(row for row, kept in zip(self.rows, keep, strict=True) if kept)
        return Measured(rows, self.faces[keep], self.total, self.whole, self.ran_on)


@dataclass(frozen=True)
class Detections:
    """All detections of a set down to a low score: rows, and for each the boxes (n, 4) and scores (n,)."""

    rows: tuple[Row, ...]
    boxes: tuple[npt.NDArray[np.float64], ...]
    scores: tuple[npt.NDArray[np.float64], ...]


def whole_face(width: int, height: int) -> FaceArray:
    """Return one face that is the whole picture: its points are the alignment template spread over it."""
    face = empty_faces(1)
    face["box"] = (-0.5, -0.5, width - 0.5, height - 0.5)
    face["points"] = FACE_TEMPLATE * (width, height) - 0.5
    return face


def _areas(faces: FaceArray) -> Any:
    return np.clip(faces["box"][:, 2:] - faces["box"][:, :2], 0, None).prod(axis=1)


def _holding(faces: FaceArray, x: float, y: float) -> npt.NDArray[np.bool_]:
    box = faces["box"]
    return np.asarray((box[:, 0] <= x) & (x <= box[:, 2]) & (box[:, 1] <= y) & (y <= box[:, 3]))


def largest_face(faces: FaceArray, row: Row) -> int | None:
    """Choose the largest face: for photos of one person."""
    return int(_areas(faces).argmax()) if len(faces) else None


def central_face(faces: FaceArray, row: Row) -> int | None:
    """Choose the largest face whose box holds the picture's centre: for close crops of one face."""
    middle = (float(row["width"]) - 1) / 2, (float(row["height"]) - 1) / 2
    areas = np.where(_holding(faces, *middle), _areas(faces), 0.0)
    return int(areas.argmax()) if areas.any() else None


def matching_face(faces: FaceArray, row: Row) -> int | None:
    """Choose the face that holds the centre of the labelled points and overlaps their box most."""
    around = boxes_around(true_points(row)[None])
    middle = (around[0, :2] + around[0, 2:]) / 2
    overlap = np.where(_holding(faces, *middle), box_iou(faces["box"], around)[:, 0], 0.0)
    return int(overlap.argmax()) if overlap.any() else None


def true_points(row: Row) -> npt.NDArray[np.float64]:
    """Return the labelled points of a row: (5, 2) of an mtfl row or (68, 2) of a landmarks68 row, pixels."""
    names = ("leye", "reye", "nose", "lmouth", "rmouth")
    if "x0" in row:
        return np.array([(row[f"x{i}"], row[f"y{i}"]) for i in range(68)], np.float64)
    return np.array([(row[f"{name}_x"], row[f"{name}_y"]) for name in names], np.float64)


def true_boxes(row: Row) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """Return the labelled boxes (m, 4) of a crowds row and their labels (m,); every label is a face."""
    parts = [part.split() for part in row["boxes"].split(";") if part.strip()]
    boxes = np.array([part[:4] for part in parts], np.float64).reshape(-1, 4)
    return boxes, np.array([part[4] for part in parts], np.str_)


def measured_faces(
    analyzer: AnalyzerLike, pictures: PictureSet, rows: Iterable[Row], choose: Choice, whole: bool
) -> Measured:
    """Measure one face a row: the chosen one of those found, else, if `whole`, the picture as it is.

    Without a face network there is nothing to measure on a whole picture, so such rows are left out.
    """
    whole = whole and "face" in analyzer.specs
    kept: list[Row] = []
    faces: list[FaceArray] = []
    ran_on: dict[str, str] = {}
    total = taken = 0
    for row in rows:
        total += 1
        picture = pictures.picture(row)
        result = analyzer(picture)
        ran_on |= result.ran_on
        found = result.faces
        index = choose(found, row)
        if index is not None:
            faces.append(found[index : index + 1].copy())
        elif whole:
            faces.append(analyzer.describe(picture, whole_face(picture.shape[1], picture.shape[0])))
            taken += 1
        else:
            continue
        kept.append(row)
    return Measured(tuple(kept), np.concatenate([empty_faces(), *faces]), total, taken, ran_on)


def detections_of(analyzer: AnalyzerLike, pictures: PictureSet, rows: Iterable[Row]) -> Detections:
    """Detect on every row and keep boxes and scores."""
    kept: list[Row] = []
    boxes, scores = [], []
    for row in rows:
        faces = analyzer.detect(pictures.picture(row))
        kept.append(row)
        boxes.append(faces["box"].astype(np.float64))
        scores.append(faces["score"].astype(np.float64))
    return Detections(tuple(kept), tuple(boxes), tuple(scores))


SETS: dict[str, tuple[Choice, bool]] = {
    "utkface": (central_face, True),
    "fer2013": (central_face, True),
    "celeba": (central_face, True),
    "mebeauty": (largest_face, True),
    "mtfl": (matching_face, False),
    "landmarks68": (matching_face, False),
}
"""For each set of single faces: which found face is meant; whether a picture without one is taken whole."""
