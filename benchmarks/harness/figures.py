"""The attribute and point figures: which set each is measured on, which labels it needs, what it computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.types import ETHNICITIES, EXPRESSIONS
from vultus_export.metrics.faces import Measured
from vultus_export.metrics.fields import FIELDS, HAIR_SHOWN, Metrics, classes_of, gender_names, point_errors
from vultus_export.metrics.intervals import Index, interval
from vultus_export.metrics.scores import class_recalls

__all__ = ["FIGURES", "Figure", "figure_or_note", "nothing", "rounded", "summary"]


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


def rounded(value: float) -> float | None:
    """Return a figure as JSON holds it: five decimals, null for what is not defined."""
    return None if math.isnan(value) else round(float(value), 5)


def summary(path: str, size: int, metrics: Metrics) -> dict[str, Any]:
    """Return metrics over all `size` faces, `n`, and under `ci95` their 95 % bootstrap intervals."""
    every = np.arange(size)
    entry: dict[str, Any] = {name: rounded(metric(every)) for name, metric in metrics.items()}
    entry["n"] = size
    entry["ci95"] = {}
    for name, metric in metrics.items():
        found = interval(metric, size, f"{path}.{name}")
        entry["ci95"][name] = [round(side, 5) for side in found] if found else None
    return entry


def nothing(keys: tuple[str, ...], note: str) -> dict[str, Any]:
    """Return the entry of a figure that could not be measured, with the reason."""
    return {**dict.fromkeys(keys), "n": 0, "note": note}


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


def _grouped(groups: npt.NDArray[np.str_], name: str, metric: Callable[[Index], float]) -> dict[str, Any]:
    """Return {group: {name: figure, "n": members}} in the order in which groups first appear sorted."""
    places = {str(group): np.flatnonzero(groups == group) for group in np.unique(groups)}
    return {group: {name: rounded(metric(at)), "n": len(at)} for group, at in places.items()}


def _per_class(guess: Any, truth: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    recalls, members = class_recalls(guess, truth, len(labels)), np.bincount(truth, minlength=len(labels))
    rows = zip(labels, recalls, members, strict=True)
    return {label: {"recall": rounded(recall), "n": int(count)} for label, recall, count in rows}


def _age(faces: Measured, path: str) -> dict[str, Any]:
    metrics, truth = FIELDS["age"].metrics(faces), faces.numbers("age")
    error = metrics["mae"]
    decades = np.array([f"{int(age) // 10 * 10:02d}" for age in truth])
    groups = _grouped(decades, "mae", error)
    entry = summary(path, len(truth), metrics)
    entry["by_decade"] = {f"{int(key)}-{int(key) + 9}": value for key, value in groups.items()}
    entry["by_gender"] = _grouped(faces.column("gender"), "mae", error)
    entry["by_ethnicity"] = _grouped(faces.column("ethnicity"), "mae", error)
    return entry


def _gender(faces: Measured, path: str) -> dict[str, Any]:
    metrics = FIELDS["gender"].metrics(faces)
    entry = summary(path, len(faces.rows), metrics)
    entry["by_gender"] = _grouped(gender_names(faces), "accuracy", metrics["accuracy"])
    return entry


def _gender_with_age(faces: Measured, path: str) -> dict[str, Any]:
    entry = _gender(faces, path)
    older = _gender(faces.where(faces.numbers("age") >= 10), f"{path}.10plus")
    entry["accuracy_10plus"], entry["n_10plus"] = older["accuracy"], older["n"]
    entry["ci95"]["accuracy_10plus"] = older["ci95"]["accuracy"]
    right = FIELDS["gender"].metrics(faces)["accuracy"]
    entry["by_ethnicity"] = _grouped(faces.column("ethnicity"), "accuracy", right)
    return entry


def _plain(field: str) -> Callable[[Measured, str], dict[str, Any]]:
    """Return what measures a field by its metrics alone."""
    return lambda faces, path: summary(path, len(faces.rows), FIELDS[field].metrics(faces))


def _classes(field: str, labels: tuple[str, ...]) -> Callable[[Measured, str], dict[str, Any]]:
    """Return what measures a class field, with the recall of each class."""

    def measure(faces: Measured, path: str) -> dict[str, Any]:
        guess, truth = classes_of(faces, field)
        return {**_plain(field)(faces, path), "per_class": _per_class(guess, truth, labels)}

    return measure


def _eyeglasses(faces: Measured, path: str) -> dict[str, Any]:
    label = "eyeglasses" if "eyeglasses" in faces.rows[0] else "glasses"
    return {**_plain("eyeglasses")(faces, path), "with_glasses": int((faces.numbers(label) == 1).sum())}


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
    Figure("smile.celeba", "celeba", "smile", ("accuracy",), _plain("smile")),
    Figure("smile.mtfl", "mtfl", "smile", ("accuracy",), _plain("smile")),
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
)
