"""The table of labelled fields: made sets label every field of it, and its metrics stand in the page."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from picture_sets import LABELS, write_all
from repository import ROOT
from vultus.types import ATTRIBUTES, EXPRESSIONS, empty_faces
from vultus_export.metrics.faces import Measured
from vultus_export.metrics.fields import FIELDS, classes_of


def columns_of(folder: Path) -> set[str]:
    found: set[str] = set()
    for table in folder.glob("*.csv"):
        with table.open(newline="") as stream:
            found |= set(next(csv.reader(stream)))
    return found


def test_the_sets_label_every_field(tmp_path: Path) -> None:
    there = columns_of(write_all(tmp_path))
    assert [name for name, field in FIELDS.items() if not there & set(field.columns)] == []
    assert set(FIELDS) == {*ATTRIBUTES, "points"} - {"quality"}


def test_the_page_on_gates_names_every_column() -> None:
    page = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    assert [
        column for field in FIELDS.values() for column in field.columns if f"`{column}`" not in page
    ] == []


@pytest.mark.parametrize("label", ["male", "gender"])
def test_gender_is_read_from_either_column(label: str) -> None:
    values = {"male": ("1", "0"), "gender": ("male", "female")}[label]
    faces = empty_faces(2)
    faces["gender"] = [[0.2, 0.8], [0.3, 0.7]]
    measured = Measured(tuple({label: value} for value in values), faces, 2, 0, {})
    assert FIELDS["gender"].metrics(measured)["accuracy"](np.arange(2)) == 0.5


def test_a_metric_is_a_function_of_places() -> None:
    faces = empty_faces(3)
    faces["expression"] = np.eye(len(EXPRESSIONS))[[3, 3, 0]]
    row = {key: str(value) for key, value in LABELS["fer2013"].items()}
    metrics = FIELDS["expression"].metrics(Measured((row, row, row), faces, 3, 0, {}))
    assert metrics["accuracy"](np.array([0, 1])) == 1.0
    assert metrics["accuracy"](np.array([2, 2])) == 0.0
    assert metrics["accuracy"](np.array([0, 2])) == 0.5


def test_labels_that_are_none_of_the_record_are_listed() -> None:
    measured = Measured(({"ethnicity": "martian"},), empty_faces(1), 1, 0, {})
    with pytest.raises(ValueError, match="labels martian are unknown; expected some of white, black"):
        classes_of(measured, "ethnicity")
