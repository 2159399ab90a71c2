"""What labels say of each field of the FACE record: one table from fields to columns and metrics.

A metric is a function of indices into the measured faces, so that groups and bootstrap draws are the same call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.types import ETHNICITIES, EXPRESSIONS, FACIAL_HAIR, GENDERS
from vultus_export.metrics.faces import Measured, true_points
from vultus_export.metrics.intervals import Index
from vultus_export.metrics.pose import yaw_classes
from vultus_export.metrics.scores import (
    accuracy,
    balanced_accuracy,
    landmark_errors,
    mean_absolute_error,
    pearson,
    ranking_auc,
)

__all__ = [
    "EYES",
    "FIELDS",
    "HAIR_SHOWN",
    "ODDS",
    "SMILE",
    "LabelledField",
    "Metric",
    "Metrics",
    "classes_of",
    "gender_names",
    "label_column",
    "label_indices",
    "point_errors",
]

Metric = Callable[[Index], float]
Metrics = Mapping[str, Metric]
Classes = npt.NDArray[np.intp]

SMILE = 50.0
"""A face with this smile or more counts as smiling."""

ODDS = 0.5
"""A face with this probability or more of eyeglasses or a beard counts as having them."""

EYES = {"points": (0, 1), "landmarks": (36, 45)}
"""Points whose labelled distance sets the scale of an error: eye centres of 5, outer eye corners of 68."""

HAIR_SHOWN = ("mustache", "goatee")


@dataclass(frozen=True)
class LabelledField:
    """A field of the record, the columns of which any one labels it, and its metrics over measured faces.

    metrics raises KeyError for a column that is missing after all, ValueError for labels that cannot be read.
    """

    field: str
    columns: tuple[str, ...]
    metrics: Callable[[Measured], Metrics]


def label_indices(names: npt.NDArray[np.str_], labels: tuple[str, ...]) -> Classes:
    """Return each name's place among the record's labels; "others" is the record's "other".

    Raises ValueError that lists the names which are none of the labels.
    """
    singular = np.where(names == "others", "other", names)
    unknown = sorted(set(singular.tolist()) - set(labels))
    if unknown:
        raise ValueError(f"labels {', '.join(unknown)} are unknown; expected some of {', '.join(labels)}")
    return np.array([labels.index(name) for name in singular], np.intp)


def gender_names(faces: Measured) -> npt.NDArray[np.str_]:
    """Return the labelled gender of each face, of a column `gender` or a 0/1 column `male`."""
    if "male" in faces.rows[0]:
        return np.where(faces.numbers("male") == 1, "male", "female")
    return faces.column("gender")


def label_column(faces: Measured, field: str) -> str:
    """Return the column that labels a field in these rows; where none does, the last of those that could."""
    columns = FIELDS[field].columns
    return next((name for name in columns if name in faces.rows[0]), columns[-1])


def classes_of(faces: Measured, field: str) -> tuple[Classes, Classes]:
    """Return the guessed and the labelled class of each face in gender, ethnicity, expression or pose."""
    if field == "pose":
        guess = yaw_classes(faces.faces["pose"][:, 0])
        return guess - 1, faces.numbers("pose").astype(np.intp) - 1
    labels = {"gender": GENDERS, "ethnicity": ETHNICITIES, "expression": EXPRESSIONS}[field]
    names = gender_names(faces) if field == "gender" else faces.column(field)
    return faces.faces[field].argmax(axis=1), label_indices(names, labels)


def point_errors(faces: Measured, field: str) -> npt.NDArray[np.float64]:
    """Return each face's mean point distance in percent of the labelled distance of its eyes."""
    truth = np.stack([true_points(row) for row in faces.rows])
    return landmark_errors(faces.faces[field], truth, *EYES[field])


def _accuracy_of(field: str, balanced: str = "", count: int = 0) -> Callable[[Measured], Metrics]:
    """Return the metrics of a class field: accuracy, and under the name `balanced` the mean recall of classes."""

    def metrics(faces: Measured) -> Metrics:
        guess, truth = classes_of(faces, field)
        own: dict[str, Metric] = {"accuracy": lambda at: accuracy(guess[at], truth[at])}
        if balanced:
            own[balanced] = lambda at: balanced_accuracy(guess[at], truth[at], count)
        return own

    return metrics


def _mean_error(field: str, key: str) -> Callable[[Measured], Metrics]:
    def metrics(faces: Measured) -> Metrics:
        errors = point_errors(faces, field)
        return {key: lambda at: float(errors[at].mean())}

    return metrics


def _age(faces: Measured) -> Metrics:
    guess, truth = faces.faces["age"], faces.numbers("age")
    return {"mae": lambda at: mean_absolute_error(guess[at], truth[at])}


def _smile(faces: Measured) -> Metrics:
    guess, truth = faces.faces["smile"] >= SMILE, faces.numbers(label_column(faces, "smile")) == 1
    return {"accuracy": lambda at: accuracy(guess[at], truth[at])}


def _eyeglasses(faces: Measured) -> Metrics:
    label = label_column(faces, "eyeglasses")
    guess = (faces.faces["eyeglasses"] >= ODDS).astype(np.intp)
    truth = (faces.numbers(label) == 1).astype(np.intp)
    return {
        "accuracy": lambda at: accuracy(guess[at], truth[at]),
        "balanced_accuracy": lambda at: balanced_accuracy(guess[at], truth[at], 2),
    }


def _auc(scores: Any, positive: Any) -> Metric:
    return lambda at: ranking_auc(scores[at], positive[at])


def _facial_hair(faces: Measured) -> Metrics:
    hair = {name: faces.faces["facial_hair"][:, place] for place, name in enumerate(FACIAL_HAIR)}
    bare, shown = hair["beard"] < ODDS, faces.numbers("no_beard") == 1
    metrics: dict[str, Metric] = {"no_beard_accuracy": lambda at: accuracy(bare[at], shown[at])}
    return metrics | {f"{name}_auc": _auc(hair[name], faces.numbers(name) == 1) for name in HAIR_SHOWN}


def _attractiveness(faces: Measured) -> Metrics:
    guess = faces.faces["attractiveness"]
    truth = (faces.numbers("score_1_10") - 1) / 9 * 100
    return {
        "pearson": lambda at: pearson(guess[at], truth[at]),
        "mae": lambda at: mean_absolute_error(guess[at], truth[at]),
    }


FIELDS = {
    "points": LabelledField("points", ("leye_x",), _mean_error("points", "nme_eye")),
    "landmarks": LabelledField("landmarks", ("x0",), _mean_error("landmarks", "nme_outer")),
    "age": LabelledField("age", ("age",), _age),
    "gender": LabelledField("gender", ("gender", "male"), _accuracy_of("gender")),
    "ethnicity": LabelledField(
        "ethnicity", ("ethnicity",), _accuracy_of("ethnicity", "balanced_accuracy", len(ETHNICITIES))
    ),
    "expression": LabelledField(
        "expression", ("expression",), _accuracy_of("expression", "macro_recall", len(EXPRESSIONS))
    ),
    "smile": LabelledField("smile", ("smiling", "smile"), _smile),
    "eyeglasses": LabelledField("eyeglasses", ("eyeglasses", "glasses"), _eyeglasses),
    "facial_hair": LabelledField("facial_hair", ("no_beard",), _facial_hair),
    "attractiveness": LabelledField("attractiveness", ("score_1_10",), _attractiveness),
    "pose": LabelledField("pose", ("pose",), _accuracy_of("pose")),
}
"""Field of the record -> how sets label it and what is measured."""
