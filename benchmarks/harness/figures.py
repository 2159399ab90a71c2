"""The attribute and point figures: which set each is measured on, which labels it needs, what it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.calibrated import age_calibration, class_calibration, yes_calibration
from harness.crosses import people_cross
from harness.discarded import discarding
from harness.entries import Metric, group_entry, grouped, nothing, rounded, summary
from vultus.types import ETHNICITIES, EXPRESSIONS
from vultus_export.metrics.faces import Measured
from vultus_export.metrics.fields import (
    FIELDS,
    HAIR_SHOWN,
    classes_of,
    gender_names,
    label_column,
    point_errors,
)
from vultus_export.metrics.intervals import Index
from vultus_export.metrics.scores import accuracy

__all__ = ["FIGURES", "Figure", "figure_or_note", "rounded"]


@dataclass(frozen=True)
class Figure:
    """One entry of the result: where it stands, the set it comes from, its keys and what measures it.

    field: the part of the FACE record without which the entry is empty.
    """

    path: str
    source: str
    field: str
    keys: tuple[str, ...]
    measure: Callable[[Measured, str], dict[str, Any]]


def figure_or_note(figure: Figure, measured: Measured) -> dict[str, Any]:
    """Return a figure's entry over the faces whose field was measured, or an empty one with the reason."""
    if not len(measured.faces):
        return nothing(figure.keys, f"no face of {figure.source} was found")
    known = ~np.isnan(measured.faces[figure.field].reshape(len(measured.faces), -1)).any(axis=1)
    if not known.any():
        return nothing(figure.keys, f"the models do not measure {figure.field}")
    try:
        return figure.measure(measured.where(known), figure.path)
    except KeyError as error:
        return nothing(figure.keys, f"set {figure.source} has no column {error}")
    except ValueError as error:
        return nothing(figure.keys, f"the labels of set {figure.source} cannot be read: {error}")


def _per_class(path: str, guess: Any, truth: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return each class's recall, a class that does not occur with null."""

    def recall(at: Index) -> float:
        return accuracy(guess[at], truth[at])

    places = {label: np.flatnonzero(truth == place) for place, label in enumerate(labels)}
    return {
        label: group_entry(f"{path}.per_class.{label}", at, "recall", recall) for label, at in places.items()
    }


def _age(faces: Measured, path: str) -> dict[str, Any]:
    metrics, truth = FIELDS["age"].metrics(faces), faces.numbers("age")
    error = metrics["mae"]
    decades = np.array([f"{int(age) // 10 * 10:02d}" for age in truth])
    groups = grouped(f"{path}.by_decade", decades, "mae", error)
    entry = summary(path, len(truth), metrics)
    entry["by_decade"] = {f"{int(key)}-{int(key) + 9}": value for key, value in groups.items()}
    for label in ("gender", "ethnicity"):
        entry[f"by_{label}"] = grouped(f"{path}.by_{label}", faces.column(label), "mae", error)
    return {**entry, **people_cross(path, faces, "mae", error), **age_calibration(path, faces)}


def _gender(faces: Measured, path: str) -> dict[str, Any]:
    metrics = FIELDS["gender"].metrics(faces)
    entry = summary(path, len(faces.rows), metrics)
    right = metrics["accuracy"]
    entry["by_gender"] = grouped(f"{path}.by_gender", gender_names(faces), "accuracy", right)
    return {**entry, **class_calibration(path, faces, "gender")}


def _gender_with_age(faces: Measured, path: str) -> dict[str, Any]:
    entry = _gender(faces, path)
    older = _gender(faces.where(faces.numbers("age") >= 10), f"{path}.10plus")
    entry["accuracy_10plus"], entry["n_10plus"] = older["accuracy"], older["n"]
    entry["ci95"]["accuracy_10plus"] = older["ci95"]["accuracy"]
    right = FIELDS["gender"].metrics(faces)["accuracy"]
    entry["by_ethnicity"] = grouped(f"{path}.by_ethnicity", faces.column("ethnicity"), "accuracy", right)
    return {**entry, **people_cross(path, faces, "error", lambda at: 1 - right(at))}


def _plain(field: str) -> Callable[[Measured, str], dict[str, Any]]:
    """Return what measures a field by its metrics alone."""
    return lambda faces, path: summary(path, len(faces.rows), FIELDS[field].metrics(faces))


def _classes(field: str, labels: tuple[str, ...]) -> Callable[[Measured, str], dict[str, Any]]:
    """Return what measures a class field, with the recall of each class and, of probabilities, the calibration."""

    def measure(faces: Measured, path: str) -> dict[str, Any]:
        guess, truth = classes_of(faces, field)
        entry = {**_plain(field)(faces, path), "per_class": _per_class(path, guess, truth, labels)}
        return entry if field == "pose" else {**entry, **class_calibration(path, faces, field)}

    return measure


def _smile(faces: Measured, path: str) -> dict[str, Any]:
    metrics = FIELDS["smile"].metrics(faces)
    entry = summary(path, len(faces.rows), metrics) | _by_people(faces, path, metrics["accuracy"])
    truth = faces.numbers(label_column(faces, "smile")) == 1
    return {**entry, **yes_calibration(path, faces.faces["smile"] / 100, truth)}


def _by_people(faces: Measured, path: str, right: Metric) -> dict[str, Any]:
    """Return the accuracy by whatever the set says of a face besides: gender, and young or not."""
    groups = {}
    if {"gender", "male"} & set(faces.rows[0]):
        groups["by_gender"] = gender_names(faces)
    if "young" in faces.rows[0]:
        groups["by_age"] = np.where(faces.numbers("young") == 1, "young", "not_young")
    return {key: grouped(f"{path}.{key}", names, "accuracy", right) for key, names in groups.items()}


def _eyeglasses(faces: Measured, path: str) -> dict[str, Any]:
    truth = faces.numbers(label_column(faces, "eyeglasses")) == 1
    entry = {**_plain("eyeglasses")(faces, path), "with_glasses": int(truth.sum())}
    return {**entry, **yes_calibration(path, faces.faces["eyeglasses"], truth)}


def _facial_hair(faces: Measured, path: str) -> dict[str, Any]:
    counts = {f"with_{name}": int((faces.numbers(name) == 1).sum()) for name in HAIR_SHOWN}
    bearded = int((faces.numbers("no_beard") != 1).sum())
    return {**_plain("facial_hair")(faces, path), "with_beard": bearded, **counts}


def _points(field: str) -> Callable[[Measured, str], dict[str, Any]]:
    def measure(faces: Measured, path: str) -> dict[str, Any]:
        middle = rounded(float(np.median(point_errors(faces, field))))
        return {**_plain(field)(faces, path), "median": middle}

    return measure


YAWS = ("left_profile", "left", "frontal", "right", "right_profile")

FIGURES = (
    Figure("points5.mtfl", "mtfl", "points", ("nme_eye",), _points("points")),
    Figure(
        "landmarks68.all",
        "landmarks68",
        "landmarks",
        ("nme_outer",),
        _points("landmarks"),
    ),
    Figure("age.utkface", "utkface", "age", ("mae", "by_decade"), _age),
    Figure("gender.utkface", "utkface", "gender", ("accuracy", "accuracy_10plus"), _gender_with_age),
    Figure("gender.celeba", "celeba", "gender", ("accuracy",), _gender),
    Figure("gender.mtfl", "mtfl", "gender", ("accuracy",), _gender),
    Figure(
        "ethnicity.utkface",
        "utkface",
        "ethnicity",
        ("accuracy", "balanced_accuracy", "per_class"),
        _classes("ethnicity", ETHNICITIES),
    ),
    Figure(
        "expression.fer2013",
        "fer2013",
        "expression",
        ("accuracy", "macro_recall"),
        _classes("expression", EXPRESSIONS),
    ),
    Figure("smile.celeba", "celeba", "smile", ("accuracy",), _smile),
    Figure("smile.mtfl", "mtfl", "smile", ("accuracy",), _smile),
    Figure("eyeglasses.celeba", "celeba", "eyeglasses", ("accuracy", "balanced_accuracy"), _eyeglasses),
    Figure("eyeglasses.mtfl", "mtfl", "eyeglasses", ("accuracy", "balanced_accuracy"), _eyeglasses),
    Figure(
        "facial_hair.celeba",
        "celeba",
        "facial_hair",
        ("no_beard_accuracy", "mustache_auc", "goatee_auc"),
        _facial_hair,
    ),
    Figure(
        "attractiveness.mebeauty", "mebeauty", "attractiveness", ("pearson", "mae"), _plain("attractiveness")
    ),
    Figure("pose.mtfl", "mtfl", "pose", ("accuracy",), _classes("pose", YAWS)),
    Figure(
        "quality.landmarks68",
        "landmarks68",
        "quality",
        ("nme_outer", "nme_outer_best80"),
        discarding("landmarks"),
    ),
    Figure("quality.utkface", "utkface", "quality", ("mae", "mae_best80"), discarding("age")),
    Figure("quality.celeba", "celeba", "quality", ("accuracy", "accuracy_best80"), discarding("gender")),
    Figure(
        "quality.fer2013", "fer2013", "quality", ("accuracy", "accuracy_best80"), discarding("expression")
    ),
)
