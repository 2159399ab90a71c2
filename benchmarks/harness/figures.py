"""The attribute and point figures: which set each is measured on, which labels it needs, what it computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.faces import Choice, Measured, central_face, largest_face, matching_face, true_points
from harness.intervals import Index, interval
from harness.pose import yaw_classes
from harness.scores import (
    accuracy,
    balanced_accuracy,
    class_recalls,
    landmark_errors,
    mean_absolute_error,
    pearson,
    ranking_auc,
)
from vultus.types import ETHNICITIES, EXPRESSIONS, FACIAL_HAIR, GENDERS

__all__ = ["FIGURES", "SETS", "Figure", "figure_or_note", "nothing", "rounded", "summary"]

Metrics = Mapping[str, Callable[[Index], float]]

SMILE = 50.0
"""A face with this smile or more counts as smiling."""

ODDS = 0.5
"""A face with this probability or more of eyeglasses or a beard counts as having them."""


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


def _indices(names: npt.NDArray[np.str_], labels: tuple[str, ...]) -> npt.NDArray[np.intp]:
    """Return each name's place among the record's labels; "others" is the record's "other"."""
    singular = np.where(names == "others", "other", names)
    unknown = sorted(set(singular.tolist()) - set(labels))
    if unknown:
        raise ValueError(f"labels {', '.join(unknown)} are unknown; expected some of {', '.join(labels)}")
    return np.array([labels.index(name) for name in singular], np.intp)


def _per_class(guess: Any, truth: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    recalls, members = class_recalls(guess, truth, len(labels)), np.bincount(truth, minlength=len(labels))
    rows = zip(labels, recalls, members, strict=True)
    return {label: {"recall": rounded(recall), "n": int(count)} for label, recall, count in rows}


def _age(faces: Measured, path: str) -> dict[str, Any]:
    guess, truth = faces.faces["age"], faces.numbers("age")

    def error(at: Index) -> float:
        return mean_absolute_error(guess[at], truth[at])

    decades = np.array([f"{int(age) // 10 * 10:02d}" for age in truth])
    groups = _grouped(decades, "mae", error)
    entry = summary(path, len(truth), {"mae": error})
    entry["by_decade"] = {f"{int(key)}-{int(key) + 9}": value for key, value in groups.items()}
    entry["by_gender"] = _grouped(faces.column("gender"), "mae", error)
    entry["by_ethnicity"] = _grouped(faces.column("ethnicity"), "mae", error)
    return entry


def _gender_names(faces: Measured) -> npt.NDArray[np.str_]:
    if "male" in faces.rows[0]:
        return np.where(faces.numbers("male") == 1, "male", "female")
    return faces.column("gender")


def _gender(faces: Measured, path: str) -> dict[str, Any]:
    guess, names = faces.faces["gender"].argmax(axis=1), _gender_names(faces)
    truth = _indices(names, GENDERS)

    def right(at: Index) -> float:
        return accuracy(guess[at], truth[at])

    entry = summary(path, len(truth), {"accuracy": right})
    entry["by_gender"] = _grouped(names, "accuracy", right)
    return entry


def _gender_with_age(faces: Measured, path: str) -> dict[str, Any]:
    entry = _gender(faces, path)
    older = _gender(faces.where(faces.numbers("age") >= 10), f"{path}.10plus")
    entry["accuracy_10plus"], entry["n_10plus"] = older["accuracy"], older["n"]
    entry["ci95"]["accuracy_10plus"] = older["ci95"]["accuracy"]
    guess, truth = faces.faces["gender"].argmax(axis=1), _indices(faces.column("gender"), GENDERS)
    groups = faces.column("ethnicity")
    entry["by_ethnicity"] = _grouped(groups, "accuracy", lambda at: accuracy(guess[at], truth[at]))
    return entry


def _ethnicity(faces: Measured, path: str) -> dict[str, Any]:
    guess, truth = faces.faces["ethnicity"].argmax(axis=1), _indices(faces.column("ethnicity"), ETHNICITIES)
    metrics: Metrics = {
        "accuracy": lambda at: accuracy(guess[at], truth[at]),
        "balanced_accuracy": lambda at: balanced_accuracy(guess[at], truth[at], len(ETHNICITIES)),
    }
    return {**summary(path, len(truth), metrics), "per_class": _per_class(guess, truth, ETHNICITIES)}


def _expression(faces: Measured, path: str) -> dict[str, Any]:
    guess = faces.faces["expression"].argmax(axis=1)
    truth = _indices(faces.column("expression"), EXPRESSIONS)
    metrics: Metrics = {
        "accuracy": lambda at: accuracy(guess[at], truth[at]),
        "macro_recall": lambda at: balanced_accuracy(guess[at], truth[at], len(EXPRESSIONS)),
    }
    return {**summary(path, len(truth), metrics), "per_class": _per_class(guess, truth, EXPRESSIONS)}


def _smile(faces: Measured, path: str) -> dict[str, Any]:
    label = "smiling" if "smiling" in faces.rows[0] else "smile"
    guess, truth = faces.faces["smile"] >= SMILE, faces.numbers(label) == 1
    return summary(path, len(truth), {"accuracy": lambda at: accuracy(guess[at], truth[at])})


def _eyeglasses(faces: Measured, path: str) -> dict[str, Any]:
    label = "eyeglasses" if "eyeglasses" in faces.rows[0] else "glasses"
    guess = (faces.faces["eyeglasses"] >= ODDS).astype(np.intp)
    truth = (faces.numbers(label) == 1).astype(np.intp)
    metrics: Metrics = {
        "accuracy": lambda at: accuracy(guess[at], truth[at]),
        "balanced_accuracy": lambda at: balanced_accuracy(guess[at], truth[at], 2),
    }
    return {**summary(path, len(truth), metrics), "with_glasses": int(truth.sum())}


def _facial_hair(faces: Measured, path: str) -> dict[str, Any]:
    hair = {name: faces.faces["facial_hair"][:, place] for place, name in enumerate(FACIAL_HAIR)}
    bare, shown = hair["beard"] < ODDS, faces.numbers("no_beard") == 1
    mustache, goatee = faces.numbers("mustache") == 1, faces.numbers("goatee") == 1
    metrics: Metrics = {
        "no_beard_accuracy": lambda at: accuracy(bare[at], shown[at]),
        "mustache_auc": lambda at: ranking_auc(hair["mustache"][at], mustache[at]),
        "goatee_auc": lambda at: ranking_auc(hair["goatee"][at], goatee[at]),
    }
    counts = {"with_beard": int((~shown).sum()), "with_mustache": int(mustache.sum())}
    return {**summary(path, len(shown), metrics), **counts, "with_goatee": int(goatee.sum())}


def _attractiveness(faces: Measured, path: str) -> dict[str, Any]:
    guess = faces.faces["attractiveness"]
    truth = (faces.numbers("score_1_10") - 1) / 9 * 100
    metrics: Metrics = {
        "pearson": lambda at: pearson(guess[at], truth[at]),
        "mae": lambda at: mean_absolute_error(guess[at], truth[at]),
    }
    return summary(path, len(truth), metrics)


def _pose(faces: Measured, path: str) -> dict[str, Any]:
    guess, truth = yaw_classes(faces.faces["pose"][:, 0]), faces.numbers("pose").astype(np.intp)
    entry = summary(path, len(truth), {"accuracy": lambda at: accuracy(guess[at], truth[at])})
    labels = ("left_profile", "left", "frontal", "right", "right_profile")
    return {**entry, "per_class": _per_class(guess - 1, truth - 1, labels)}


def _points(field: str, key: str, eyes: tuple[int, int]) -> Callable[[Measured, str], dict[str, Any]]:
    def measure(faces: Measured, path: str) -> dict[str, Any]:
        truth = np.stack([true_points(row) for row in faces.rows])
        errors = landmark_errors(faces.faces[field], truth, *eyes)
        middle = rounded(float(np.median(errors)))
        return {**summary(path, len(errors), {key: lambda at: float(errors[at].mean())}), "median": middle}

    return measure


SETS: dict[str, tuple[Choice, bool]] = {
    "utkface": (central_face, True),
    "fer2013": (central_face, True),
    "celeba": (central_face, True),
    "mebeauty": (largest_face, True),
    "mtfl": (matching_face, False),
    "landmarks68": (matching_face, False),
}
"""For each set of single faces: which found face is meant; whether a picture without one is taken whole."""

FIGURES = (
    Figure("points5.mtfl", "mtfl", "points", ("nme_eye",), _points("points", "nme_eye", (0, 1))),
    Figure(
        "landmarks68.all",
        "landmarks68",
        "landmarks",
        ("nme_outer",),
        _points("landmarks", "nme_outer", (36, 45)),
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
        _ethnicity,
    ),
    Figure("expression.fer2013", "fer2013", "expression", ("accuracy", "macro_recall"), _expression),
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
    Figure("attractiveness.mebeauty", "mebeauty", "attractiveness", ("pearson", "mae"), _attractiveness),
    Figure("pose.mtfl", "mtfl", "pose", ("accuracy",), _pose),
)
