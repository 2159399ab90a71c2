"""The loss speaks the task's language: faces lost, boxes moved, years, degrees, probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from vultus.errors import InputError
from vultus.types import ATTRIBUTES, FaceArray, empty_faces
from vultus_export.quantize.loss import UNITS, Loss, detector_loss, face_loss


def boxed(*found: tuple[float, float, float]) -> FaceArray:
    """Return faces of side 10 at x with a score; all points lie at x + shift."""
    faces = empty_faces(len(found))
    for face, (x, score, shift) in zip(faces, found, strict=True):
        face["box"], face["score"], face["points"] = (x, 0, x + 10, 10), score, x + shift
    return faces


A, B = (0.0, 0.9, 0.0), (100.0, 0.9, 0.0)
DETECTIONS: list[tuple[str, FaceArray, FaceArray, dict[str, float]]] = [
    ("same", boxed(A, B), boxed(A, B), {"faces": 0, "box": 0, "score": 0, "points": 0}),
    ("lost", boxed(A, B), boxed(A), {"faces": 1 / 3, "box": 0, "score": 0, "points": 0}),
    ("invented", boxed(A), boxed(A, B), {"faces": 1 / 3, "box": 0, "score": 0, "points": 0}),
    ("weaker", boxed(A), boxed((0.0, 0.4, 0.0)), {"faces": 0, "box": 0, "score": 0.5, "points": 0}),
    ("moved", boxed(A), boxed((1.0, 0.9, -1.0)), {"faces": 0, "box": 2 / 11, "score": 0, "points": 0}),
    (
        "points",
        boxed(A),
        boxed((0.0, 0.9, 0.3)),
        {"faces": 0, "box": 0, "score": 0, "points": 0.03 * math.sqrt(2)},
    ),
    (
        "too faint to count",
        boxed(A, (50.0, 0.3, 0.0)),
        boxed(A),
        {"faces": 0, "box": 0, "score": 0, "points": 0},
    ),
    ("all gone", boxed(A), boxed(), {"faces": 1, "box": 1, "score": 1, "points": 1}),
]


@pytest.mark.parametrize(("case", "one", "two", "parts"), DETECTIONS, ids=[case[0] for case in DETECTIONS])
def test_detections(case: str, one: FaceArray, two: FaceArray, parts: dict[str, float]) -> None:
    assert detector_loss([one], [two], 0.5).parts == pytest.approx(parts, abs=1e-6)


def test_pictures_without_any_face_are_refused() -> None:
    with pytest.raises(InputError, match="there is no face in any calibration picture"):
        detector_loss([boxed()], [boxed()], 0.5)


def measured() -> FaceArray:
    faces = empty_faces(2)
    for name in ATTRIBUTES:
        faces[name] = 0.5
    faces["landmarks"][:, 36] = (0, 0)
    faces["landmarks"][:, 45] = (100, 0)
    return faces


def changed(field: str, change: Callable[[FaceArray], None]) -> float:
    faces = measured()
    change(faces)
    return face_loss([measured()], [faces], [field]).parts[field]


def add(field: str, amount: object) -> Callable[[FaceArray], None]:
    def change(faces: FaceArray) -> None:
        faces[field][0] += amount

    return change


@pytest.mark.parametrize(
    ("field", "amount", "moved"),
    [
        ("age", 4.0, 2.0),
        ("age", -4.0, 2.0),
        ("pose", [3.0, 0.0, 3.0], 1.0),
        ("landmarks", [3.0, 4.0], 0.025),
        ("gender", [0.2, -0.2], 0.1),
        ("expression", [0.1, -0.1, 0, 0, 0, 0, 0], 0.05),
        ("smile", 10.0, 5.0),
        ("eyeglasses", 0.2, 0.1),
        ("facial_hair", 0.1, 0.05),
        ("age", np.nan, 0.5),
        ("landmarks", np.nan, 0.5),
    ],
)
def test_attributes(field: str, amount: object, moved: float) -> None:
    assert changed(field, add(field, amount)) == pytest.approx(moved, abs=1e-6)
    assert changed(field, add(field, 0.0)) == 0.0


def test_what_neither_measured_costs_nothing() -> None:
    assert face_loss([empty_faces(2)], [empty_faces(2)], ["age"]).parts == {"age": 0.0}


def test_the_total_is_in_units() -> None:
    assert Loss({"age": UNITS["age"], "smile": UNITS["smile"]}).total == pytest.approx(1.0)
    assert Loss({"age": 2 * UNITS["age"], "smile": 0.0}).total == pytest.approx(math.sqrt(2))
    assert set(UNITS) >= set(ATTRIBUTES)
