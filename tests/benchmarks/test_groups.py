"""Groups, crosses and calibration of known records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.calibrated import age_calibration, box_calibration, class_calibration, yes_calibration
from harness.crosses import BANDS, CROSS, age_bands, crossed, people_cross
from harness.crowd import crowd_figures
from harness.entries import LEAST, group_entry, grouped
from harness.figures import FIGURES, figure_or_note
from harness.markdown import cross_tables, figure_rows
from vultus.types import empty_faces
from vultus_export.metrics.faces import Detections, Measured
from vultus_export.metrics.intervals import Index

VALUES = np.arange(30, dtype=np.float64)


def mean(at: Index) -> float:
    return float(VALUES[at].mean()) if len(at) else float("nan")


def people(*kinds: tuple[int, str, str], count: int = 1) -> Measured:
    """Return faces of age, gender and ethnicity, each kind `count` times, all guessed 30 years old and female."""
    rows = tuple(
        {"age": str(age), "gender": gender, "ethnicity": origin}
        for age, gender, origin in kinds
        for _ in range(count)
    )
    faces = empty_faces(len(rows))
    faces["age"], faces["age_spread"], faces["gender"] = 30, 5, (0.8, 0.2)
    return Measured(rows, faces, len(rows), 0, {})


def test_a_group_has_an_interval_from_ten_members_on() -> None:
    names = np.array(["few"] * (LEAST - 1) + ["many"] * (30 - LEAST + 1))
    entry = grouped("path", names, "mean", mean)
    assert entry["few"] == {"mean": 4.0, "n": LEAST - 1}
    low, high = entry["many"]["ci95"]
    assert low < entry["many"]["mean"] == 19.0 < high


def test_of_boxes_whole_pictures_are_drawn() -> None:
    every = np.arange(30)
    pairs = group_entry("path", every, "mean", mean, every // 3)
    assert pairs["ci95"][0] < 14.5 < pairs["ci95"][1]
    assert "ci95" not in group_entry("path", every, "mean", mean, every // 4)
    alone = group_entry("path", every, "mean", mean)["ci95"]
    assert pairs["ci95"][1] - pairs["ci95"][0] > alone[1] - alone[0], "boxes of one picture move together"


@pytest.mark.parametrize(
    ("age", "band"),
    [(0, "0-9"), (9, "0-9"), (10, "10-29"), (29, "10-29"), (49, "30-49"), (50, "50+"), (116, "50+")],
)
def test_bands(age: int, band: str) -> None:
    assert age_bands([age]).tolist() == [band]


def test_a_cross_counts_every_face_once_and_in_each_margin() -> None:
    first, second = np.array(["a"] * 12 + ["b"] * 18), np.array(["x", "y"] * 15)
    found = crossed("p", {"one": (first, ("a", "b")), "two": (second, ("x", "y", "z"))}, "mean", mean)
    assert (found["axes"], found["least"]) == (["one", "two"], LEAST)
    cells = found["cells"]
    assert list(cells) == ["a", "b", "all"]
    assert list(cells["a"]) == ["x", "y", "z", "all"]
    assert cells["a"]["x"] == cells["a"]["y"] == {"n": 6}
    assert cells["b"]["z"] == {"n": 0}
    assert (cells["a"]["all"]["mean"], cells["all"]["x"]["mean"]) == (5.5, 14.0)
    assert (cells["all"]["all"]["mean"], cells["all"]["all"]["n"]) == (14.5, 30)


def test_people_are_crossed_by_the_names_of_the_record() -> None:
    faces = people((4, "male", "others"), (35, "female", "martian"), (36, "female", "white"), count=LEAST)
    figures = {figure.path: figure for figure in FIGURES}
    cells = figure_or_note(figures["gender.utkface"], faces)[CROSS]["cells"]
    assert list(cells["male"]["0-9"]) == ["white", "other", "martian", "all"]
    assert list(cells["male"]) == [*BANDS, "all"]
    assert (cells["male"]["0-9"]["other"]["error"], cells["female"]["30-49"]["white"]["error"]) == (1.0, 0.0)
    cells = figure_or_note(figures["age.utkface"], faces)[CROSS]["cells"]
    assert cells["all"]["30-49"]["martian"] == {"mae": 5.0, "n": LEAST, "ci95": [5.0, 5.0]}


def test_without_a_label_there_is_no_cross() -> None:
    faces = people((4, "male", "white"))
    bare = Measured(({"age": "4", "gender": "male"},), faces.faces, 1, 0, {})
    assert people_cross("path", faces, "mae", mean)
    assert people_cross("path", bare, "mae", mean) == {}


def test_a_cross_is_one_table_with_what_is_too_few_as_a_count() -> None:
    entry = figure_or_note(
        next(figure for figure in FIGURES if figure.path == "age.utkface"),
        people((35, "female", "white"), (4, "male", "black"), (4, "male", "black"), count=6),
    )
    (text,) = cross_tables([("age.utkface", entry)])
    assert text.startswith(f"`age.utkface.{CROSS}`: mean age error in years, by gender, age and ethnicity")
    assert "| gender | age | white | black | all |" in text
    assert "| male | 0-9 | (0) | 26 (12) | 26 (12) |" in text
    assert "| female | 30-49 | (6) | (0) | (6) |" in text
    assert not any("gender_age" in row[0] for row in figure_rows("age.utkface", entry))


def test_calibration_of_faces() -> None:
    faces = people((35, "female", "white"), (41, "male", "white"))
    gender = class_calibration("path", faces, "gender")["calibration"]
    assert (gender["ece"], gender["overconfidence"], gender["n"], gender["bins"]) == (0.3, 0.3, 2, 15)
    assert set(gender["ci95"]) == {"ece", "overconfidence"}
    age = age_calibration("path", faces)["calibration"]
    assert (age["within_1_spread"], age["within_2_spreads"], age["mean_spread"]) == (0.5, 0.5, 5.0)
    assert age["promised"] == {"within_1_spread": 0.68269, "within_2_spreads": 0.9545}
    faces.faces["age_spread"] = np.nan
    assert age_calibration("path", faces) == {}
    yes = yes_calibration("path", np.array([1.0, 0.0]), np.array([True, True]))["calibration"]
    assert (yes["ece"], yes["overconfidence"]) == (0.5, 0.5)


def test_calibration_of_boxes_knows_what_is_shipped() -> None:
    scores = [np.array([0.9, 0.1]), np.empty(0), np.array([0.7])]
    hits = [np.array([True, False]), np.empty(0, np.bool_), np.array([False])]
    entry = box_calibration("path", scores, hits, 0.6)["calibration"]
    assert entry["ece"] == pytest.approx((0.1 + 0.1 + 0.7) / 3, abs=1e-5)
    assert entry["overconfidence"] == pytest.approx((-0.1 + 0.1 + 0.7) / 3, abs=1e-5)
    assert entry["ece_shipped"] == pytest.approx((0.1 + 0.7) / 2, abs=1e-5)
    assert (entry["n"], entry["n_shipped"], entry["pictures"]) == (3, 2, 3)
    nothing = box_calibration("path", [np.empty(0)], [np.empty(0, np.bool_)], 0.6)["calibration"]
    assert (nothing["ece"], nothing["n"]) == (None, 0)


def test_recall_is_crossed_by_label_and_height() -> None:
    texts = [f"0 0 10 {10 if i % 2 else 40} {'mask' if i < 20 else 'no_mask'}" for i in range(30)]
    boxes = [np.array([[0, 0, 10, 10.0]]) for _ in texts]
    found = Detections(
        tuple({"boxes": text} for text in texts), tuple(boxes), tuple(np.array([0.9]) for _ in texts)
    )
    entry = crowd_figures(found, None, shipped=0.5)
    cells: dict[str, Any] = entry["recall_by_label_height"]["cells"]
    assert list(cells) == ["mask", "no_mask", "all"]
    assert cells["mask"]["0-16"] == {"recall": 1.0, "n": 10, "ci95": [1.0, 1.0]}
    assert cells["mask"]["32-64"]["recall"] == 0.0
    assert cells["no_mask"]["0-16"] == {"n": 5}
    assert cells["all"]["all"]["recall"] == 0.5
    low, high = cells["all"]["all"]["ci95"]
    assert 0.2 < low < 0.5 < high < 0.8
    assert entry["recall_by_label"]["mask"]["ci95"] is not None
