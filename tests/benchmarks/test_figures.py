"""Figures of known records: all right, partly right, not measured, nobody found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from harness.crowd import crowd_figures, scene_figures
from harness.figures import FIGURES, Figure, figure_or_note
from picture_sets import LABELS, OTHERS
from vultus.types import ETHNICITIES, EXPRESSIONS, GENDERS, FaceArray, empty_faces
from vultus_export.metrics.faces import Detections, Measured, Row

BY_PATH = {figure.path: figure for figure in FIGURES}


def rows_of(*labels: dict[str, object]) -> tuple[Row, ...]:
    return tuple({key: str(value) for key, value in label.items()} for label in labels)


def measured(rows: Sequence[Row], **fields: Any) -> Measured:
    faces: FaceArray = empty_faces(len(rows))
    for name, values in fields.items():
        faces[name] = values
    return Measured(tuple(rows), faces, len(rows), 0, {})


def chosen(labels: tuple[str, ...], *names: str) -> list[list[float]]:
    return [[0.9 if label == name else 0.01 for label in labels] for name in names]


UTKFACE = rows_of(LABELS["utkface"], OTHERS["utkface"], {**LABELS["utkface"], "age": 35})
CELEBA = rows_of(LABELS["celeba"], OTHERS["celeba"], OTHERS["celeba"], LABELS["celeba"])
FER2013 = rows_of(LABELS["fer2013"], OTHERS["fer2013"], OTHERS["fer2013"])
MEBEAUTY = rows_of(*({**LABELS["mebeauty"], "score_1_10": score} for score in (1, 5.5, 10)))
MTFL = rows_of(
    *({"gender": "male", "smile": 1, "glasses": g, "pose": p} for g, p in ((0, 1), (1, 3), (0, 5)))
)
HAIR = [[0.1, 0.1, 0.2, 0, 0], [0.9, 0.8, 0.7, 0, 0], [0.2, 0.05, 0.9, 0, 0], [0.1, 0.1, 0.1, 0, 0]]

CASES: list[tuple[str, Measured, dict[str, Any]]] = [
    ("age.utkface", measured(UTKFACE, age=[33, 4, 30]), {"mae": 8 / 3, "n": 3}),
    (
        "gender.utkface",
        measured(UTKFACE, gender=chosen(GENDERS, "female", "female", "female")),
        {"accuracy": 2 / 3, "accuracy_10plus": 1.0, "n": 3, "n_10plus": 2},
    ),
    (
        "gender.celeba",
        measured(CELEBA, gender=chosen(GENDERS, "female", "male", "male", "male")),
        {"accuracy": 0.75},
    ),
    ("gender.mtfl", measured(MTFL, gender=chosen(GENDERS, "male", "male", "female")), {"accuracy": 2 / 3}),
    (
        "ethnicity.utkface",
        measured(UTKFACE, ethnicity=chosen(ETHNICITIES, "white", "other", "black")),
        {"accuracy": 2 / 3, "balanced_accuracy": 0.75},
    ),
    (
        "expression.fer2013",
        measured(FER2013, expression=chosen(EXPRESSIONS, "happy", "sad", "fear")),
        {"accuracy": 2 / 3, "macro_recall": 0.75},
    ),
    (
        "quality.celeba",  # four of five are kept: the face of lowest quality is the one that is wrong
        measured(
            (*CELEBA, CELEBA[0]),
            gender=chosen(GENDERS, "female", "male", "male", "male", "female"),
            quality=[0.9, 0.8, 0.7, 0.1, 0.9],
        ),
        {"accuracy": 0.8, "accuracy_best80": 1.0, "n": 5},
    ),
    ("smile.celeba", measured(CELEBA, smile=[50, 49, 0, 20]), {"accuracy": 0.75}),
    ("smile.mtfl", measured(MTFL, smile=[100, 50, 49.9]), {"accuracy": 2 / 3}),
    (
        "eyeglasses.celeba",
        measured(CELEBA, eyeglasses=[0.1, 0.5, 0.4, 0]),
        {"accuracy": 0.75, "balanced_accuracy": 0.75, "with_glasses": 2},
    ),
    (
        "eyeglasses.mtfl",
        measured(MTFL, eyeglasses=[0, 0, 0]),
        {"accuracy": 2 / 3, "balanced_accuracy": 0.5, "with_glasses": 1},
    ),
    (
        "facial_hair.celeba",
        measured(CELEBA, facial_hair=HAIR),
        {"no_beard_accuracy": 0.75, "mustache_auc": 0.5, "goatee_auc": 1.0},
    ),
    (
        "attractiveness.mebeauty",
        measured(MEBEAUTY, attractiveness=[10, 60, 110]),
        {"pearson": 1.0, "mae": 10.0},
    ),
    ("pose.mtfl", measured(MTFL, pose=[[-80, 0, 0], [0, 50, 50], [2, 0, 0]]), {"accuracy": 2 / 3}),
]


@pytest.mark.parametrize(("path", "faces", "expected"), CASES, ids=[case[0] for case in CASES])
def test_figures_by_hand(path: str, faces: Measured, expected: dict[str, Any]) -> None:
    figure = BY_PATH[path]
    entry = figure_or_note(figure, faces)
    assert {key: entry[key] for key in expected} == pytest.approx(expected, abs=1e-5)
    assert set(figure.keys) <= set(entry)
    assert entry["n"] == len(faces.rows)


@pytest.mark.parametrize(
    ("ages", "entry"),
    [
        ([33, np.nan, 30], {"mae": 4.0, "mae_best80": 4.0, "n": 2}),
        ([np.nan] * 3, {"mae": None, "mae_best80": None, "n": 0}),
    ],
)
def test_faces_of_known_quality_without_an_answer_are_left_out(
    ages: list[float], entry: dict[str, Any]
) -> None:
    found = figure_or_note(BY_PATH["quality.utkface"], measured(UTKFACE, age=ages, quality=[0.5, 0.9, 0.4]))
    assert {key: found[key] for key in entry} == entry
    assert entry["n"] or "the models do not measure age" in found["note"]


def test_groups_say_how_many_they_are_of() -> None:
    entry = figure_or_note(BY_PATH["age.utkface"], measured(UTKFACE, age=[33, 4, 30]))
    assert entry["by_decade"] == {"0-9": {"mae": 0.0, "n": 1}, "30-39": {"mae": 4.0, "n": 2}}
    assert list(entry["by_decade"]) == ["0-9", "30-39"]
    assert entry["by_gender"] == {"female": {"mae": 4.0, "n": 2}, "male": {"mae": 0.0, "n": 1}}
    faces = measured(UTKFACE, ethnicity=chosen(ETHNICITIES, "white", "other", "black"))
    classes = figure_or_note(BY_PATH["ethnicity.utkface"], faces)["per_class"]
    assert classes["white"] == {"recall": 0.5, "n": 2}
    assert classes["indian"] == {"recall": None, "n": 0}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.path)
def test_what_is_not_measured_is_null_with_the_reason(figure: Figure) -> None:
    rows = {"utkface": UTKFACE, "celeba": CELEBA, "fer2013": FER2013, "mebeauty": MEBEAUTY, "mtfl": MTFL}
    unmeasured = figure_or_note(figure, measured(rows.get(figure.source, MTFL)))
    nobody = figure_or_note(figure, measured(()))
    for entry in (unmeasured, nobody):
        assert [entry[key] for key in figure.keys] == [None] * len(figure.keys)
        assert entry["n"] == 0
    assert unmeasured["note"] == f"the models do not measure {figure.field}"
    assert nobody["note"] == f"no face of {figure.source} was found"


@pytest.mark.parametrize(
    ("label", "note"),
    [
        (
            {"expression": "bored"},
            "the labels of set fer2013 cannot be read: labels bored are unknown; expected",
        ),
        ({"mood": "sad"}, "set fer2013 has no column 'expression'"),
    ],
)
def test_labels_that_cannot_be_read_are_named(label: dict[str, object], note: str) -> None:
    faces = measured(rows_of(label), expression=chosen(EXPRESSIONS, "sad"))
    entry = figure_or_note(BY_PATH["expression.fer2013"], faces)
    assert (entry["accuracy"], entry["n"]) == (None, 0)
    assert entry["note"].startswith(note)


def detections(text: str, boxes: list[list[float]], scores: list[float]) -> Detections:
    return Detections(({"boxes": text},), (np.array(boxes).reshape(-1, 4),), (np.array(scores),))


def test_recall_at_ten_alarms_ignores_what_the_scenes_score_too() -> None:
    found = detections("0 0 10 10 mask;20 0 30 10 no_mask", [[0, 0, 10, 10], [20, 0, 30, 10]], [0.9, 0.6])
    alarms = Detections(({},), (np.zeros((11, 4)),), (np.linspace(0.6, 0.7, 11),))
    entry = crowd_figures(found, alarms, shipped=0.5)
    assert (entry["recall"], entry["recall_10fp"], entry["ap50"], entry["n"]) == (1.0, 0.5, 1.0, 2)
    assert entry["recall_by_label"] == {"mask": {"recall": 1.0, "n": 1}, "no_mask": {"recall": 1.0, "n": 1}}
    assert entry["recall_by_height"]["0-16"] == {"recall": 1.0, "n": 2}
    assert entry["recall_by_height"]["64+"] == {"recall": None, "n": 0}
    alone = crowd_figures(found, None, shipped=0.95)
    assert (alone["recall"], alone["recall_10fp"], alone["score_10fp"]) == (0.0, None, None)
    assert scene_figures(alarms, shipped=0.645)["false_alarms"] == 6


def test_a_box_without_its_forehead_counts_at_four_tenths_only() -> None:
    found = detections("0 0 10 10 mask", [[0, -11, 10, 10]], [0.9])
    entry = crowd_figures(found, None, shipped=0.5)
    assert (entry["ap50"], entry["ap40"], entry["recall"], entry["recall_40"]) == (0.0, 1.0, 0.0, 1.0)
