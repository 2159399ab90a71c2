"""The comparison itself: what it lets pass, what it refuses, and in which units it speaks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from vultus.types import FACE, FaceArray, empty_faces
from vultus_export.fuse.agree import LIMITS, agreement
from vultus_export.parity import ParityError

SIDE = 100.0


def faces(*scores: float, **values: Any) -> FaceArray:
    """Return faces of 100 pixels a side in a row, with some fields measured."""
    made = empty_faces(len(scores))
    made["score"] = scores
    for place in range(len(made)):
        made["box"][place] = (200 * place, 0, 200 * place + SIDE, SIDE)
        made["points"][place] = 50.0
    for name, value in values.items():
        made[name] = value
    return made


def moved(given: FaceArray, name: str, by: float, place: int = 0) -> FaceArray:
    made = given.copy()
    made[name][place] += by
    return made


def test_every_measured_field_of_the_record_has_a_limit() -> None:
    assert set(LIMITS) == set(FACE.names or ()) - {"track"}


def test_the_limits_in_the_documentation_are_those_of_the_table() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "fused.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in page.split("| field | limit |")[1].split("\n\n")[0].splitlines()
        if line.startswith("| ")
    ]
    shown: dict[str, float] = {}
    for row in rows:
        fields, limit = row.strip("| ").split(" | ")
        names = re.findall(r"`(\w+)`", fields) + (
            ["gender", "ethnicity"] if "probabilities" in fields else []
        )
        numbers = [float(number) for number in re.findall(r"\d[\d.]*(?= |$)", limit.replace(" of 100", ""))]
        shown |= dict(zip(names, numbers * len(names) if len(numbers) == 1 else numbers, strict=False))
    assert len(shown) > 10
    assert shown == {name: LIMITS[name] for name in shown}


@pytest.mark.parametrize(
    ("name", "by", "error"),
    [("box", 2.0, 0.02), ("points", 0.5, 0.005), ("score", 0.02, 0.02), ("age", 3.0, 3.0)],
)
def test_errors_come_in_the_units_of_the_table(name: str, by: float, error: float) -> None:
    one = faces(0.9, 0.8, age=30.0)
    found = {item.field: item for item in agreement([(one, moved(one, name, by, 1))], tiny.DETECTOR)}
    assert list(found) == ["box", "score", "points", "age"], "what is not measured is not compared"
    assert found[name].error == pytest.approx(error, rel=1e-3)
    assert found[name].passed == (error <= LIMITS[name])
    assert all(item.error == 0 for item in found.values() if item.field != name)


def test_measured_on_one_side_alone_is_an_infinite_error() -> None:
    one = faces(0.9, age=30.0)
    found = {item.field: item for item in agreement([(one, moved(one, "age", np.nan))], tiny.DETECTOR)}
    assert found["age"].error == np.inf
    assert str(found["age"]) == "age: inf over 1 faces, allowed 1"


@pytest.mark.parametrize(("count", "passed"), [(4, False), (5, True), (20, True)])
def test_one_face_in_twenty_may_stray_where_there_are_five(count: int, passed: bool) -> None:
    one = faces(*[0.9] * count, age=30.0)
    found = {item.field: item for item in agreement([(one, moved(one, "age", 50.0))], tiny.DETECTOR)}
    assert found["age"].passed == passed


def test_faces_are_paired_by_place_not_by_order() -> None:
    one = faces(0.9, 0.8, 0.7, age=[10, 20, 30])
    assert all(item.error == 0 for item in agreement([(one, one[::-1].copy())], tiny.DETECTOR))


LONE: list[tuple[FaceArray, FaceArray, int | None, str]] = [
    (faces(0.9, 0.8), faces(0.9), None, "in picture 0 only the runtime finds a face, score 0.800, at"),
    (faces(0.9), faces(0.9, 0.8), 3, "only the fused file finds a face, score 0.800"),
    (faces(0.9, 0.8), faces(0.9), 2, ""),
    (faces(0.9, 0.505), faces(0.9), None, ""),
    (faces(), faces(), None, ""),
]


@pytest.mark.parametrize(("wanted", "got", "most", "message"), LONE)
def test_a_face_that_one_side_lacks(
    wanted: FaceArray, got: FaceArray, most: int | None, message: str
) -> None:
    if message:
        with pytest.raises(ParityError, match=message):
            agreement([(wanted, got)], tiny.DETECTOR, most)
    else:
        assert len(agreement([(wanted, got)], tiny.DETECTOR, most)) == 3 * bool(len(got))


def test_a_face_that_suppression_could_have_taken() -> None:
    one = faces(0.9, 0.8)
    one["box"][1] = one["box"][0] + (42, 0, 42, 0)  # overlap 0.41
    assert agreement([(one, one[:1].copy())], tiny.DETECTOR)[0].faces == 1
