"""Which detected face a row means, and the record of a picture that is taken whole."""

from __future__ import annotations

import numpy as np
import pytest

from picture_sets import labelled_landmarks, labelled_points
from vultus.geometry import POINT_STEPS, crop_affines
from vultus.types import FaceArray, empty_faces
from vultus_export.metrics.faces import (
    central_face,
    largest_face,
    matching_face,
    true_boxes,
    true_points,
    whole_face,
)

ROW = {"width": "100", "height": "100"}
SMALL, CORNER, CENTRE, WIDE = (48, 48, 52, 52), (0, 0, 60, 30), (30, 30, 70, 70), (0, 0, 99, 99)


def faces(*boxes: tuple[int, int, int, int]) -> FaceArray:
    found = empty_faces(len(boxes))
    found["box"] = np.array(boxes, np.float32).reshape(-1, 4)
    return found


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], None),
        ([CORNER], None),
        ([CORNER, SMALL], 1),
        ([SMALL, CENTRE], 1),
        ([CENTRE, WIDE, CORNER], 1),
    ],
    ids=["none", "only beside", "beside and within", "two within", "larger within"],
)
def test_a_close_crop_means_the_largest_face_at_its_centre(
    boxes: list[tuple[int, int, int, int]], expected: int | None
) -> None:
    assert central_face(faces(*boxes), ROW) == expected


@pytest.mark.parametrize(("boxes", "expected"), [([], None), ([SMALL, CORNER], 1), ([CENTRE, CORNER], 1)])
def test_a_portrait_means_the_largest_face(
    boxes: list[tuple[int, int, int, int]], expected: int | None
) -> None:
    assert largest_face(faces(*boxes), ROW) == expected


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [([], None), ([CORNER], None), ([WIDE, CENTRE], 1), ([CENTRE, SMALL], 0)],
    ids=["none", "elsewhere", "tighter", "too tight"],
)
def test_labelled_points_mean_the_face_that_fits_them_best(
    boxes: list[tuple[int, int, int, int]], expected: int | None
) -> None:
    points = np.array([[35, 35], [65, 35], [50, 50], [40, 65], [60, 65]], np.float64)
    row = {key: str(value) for key, value in {**ROW, **labelled_points(points)}.items()}
    assert matching_face(faces(*boxes), row) == expected
    assert true_points(row).tolist() == points.tolist()


def test_68_points_are_read_in_order() -> None:
    points = np.arange(136, dtype=np.float64).reshape(68, 2)
    row = {key: str(value) for key, value in labelled_landmarks(points).items()}
    assert true_points(row).tolist() == points.tolist()


def test_boxes_of_every_label_are_faces() -> None:
    boxes, labels = true_boxes({"boxes": "1 2 3 4 mask;5 6 7 8.5 mask_wrong"})
    assert boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8.5]]
    assert labels.tolist() == ["mask", "mask_wrong"]
    assert true_boxes({"boxes": ""})[0].shape == (0, 4)


def test_a_whole_square_picture_aligns_to_the_crop_as_it_is() -> None:
    face = whole_face(176, 176)
    affine = crop_affines(face["points"], 112)[0]
    scale = 112 / 176
    expected = [[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5]]
    assert affine == pytest.approx(np.array(expected), abs=0.5 / POINT_STEPS)
    assert face["box"].tolist() == [[-0.5, -0.5, 175.5, 175.5]]
    assert np.isnan(face["score"]).all()
