"""The worst errors of a task: which faces are furthest from their labels, and what to say of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.geometry import box_iou, boxes_around
from vultus.types import ETHNICITIES, EXPRESSIONS, GENDERS
from vultus_export.metrics.detection import match_boxes
from vultus_export.metrics.faces import Detections, Measured, Row, true_boxes, true_points
from vultus_export.metrics.fields import classes_of, label_column, point_errors
from vultus_export.metrics.pose import YAW_EDGES

__all__ = ["BOX_TASKS", "FACE_TASKS", "SETS_OF", "Mistake", "box_mistakes", "face_mistakes", "worst_of"]

Boxes = npt.NDArray[np.float64]

YAWS = ("left profile", "left", "frontal", "right", "right profile")


@dataclass(frozen=True)
class Mistake:
    """One error: in which picture, how large, what the label says and what the model.

    size: larger is worse, in the task's own measure. region: (4,) the part of the picture that it is about, in its
    pixels. true, guessed: points (k, 2) or boxes (k, 4) to draw, of the label and of the model.
    """

    source: str
    row: Row
    size: float
    truth: str
    guess: str
    region: Boxes
    true: Boxes
    guessed: Boxes


Told = tuple[npt.NDArray[np.float64], Sequence[str], Sequence[str]]
"""Of every face the size of its error, 0 where it is none, the label and the guess in words."""


def _classes(field: str, labels: Sequence[str]) -> Callable[[Measured], Told]:
    def told(faces: Measured) -> Told:
        guess, truth = classes_of(faces, field)
        given = faces.faces[field].astype(np.float64)
        every = np.arange(len(truth))
        lead = given[every, guess] - given[every, truth]
        words = [
            f"{labels[g]} {given[i, g]:.2f}, label's {given[i, truth[i]]:.2f}" for i, g in enumerate(guess)
        ]
        return lead, [labels[t] for t in truth], words

    return told


def _yes(field: str, scale: float = 1.0) -> Callable[[Measured], Told]:
    def told(faces: Measured) -> Told:
        truth = faces.numbers(label_column(faces, field)) == 1
        odds = faces.faces[field].astype(np.float64) / scale
        size = np.where((odds >= 0.5) == truth, 0.0, np.abs(odds - truth))
        return (
            size,
            [f"{field} {'yes' if yes else 'no'}" for yes in truth],
            [f"{field} {p:.2f}" for p in odds],
        )

    return told


def _age(faces: Measured) -> Told:
    truth, guess, spread = faces.numbers("age"), faces.faces["age"], faces.faces["age_spread"]
    words = [f"age {age:.0f} +- {by:.0f}" for age, by in zip(guess, spread, strict=True)]
    return np.abs(guess - truth), [f"age {age:.0f}" for age in truth], words


def _attractiveness(faces: Measured) -> Told:
    truth, guess = (faces.numbers("score_1_10") - 1) / 9 * 100, faces.faces["attractiveness"]
    return np.abs(guess - truth), [f"rated {one:.0f}" for one in truth], [f"guess {one:.0f}" for one in guess]


def _landmarks(faces: Measured) -> Told:
    errors = point_errors(faces, "landmarks")
    yaws = faces.faces["pose"][:, 0]
    return errors, [f"yaw {yaw:.0f}" for yaw in yaws], [f"error {error:.1f} %" for error in errors]


def _pose(faces: Measured) -> Told:
    _, truth = classes_of(faces, "pose")
    yaw = faces.faces["pose"][:, 0].astype(np.float64)
    edges = np.array([-np.inf, *YAW_EDGES, np.inf])
    outside = np.maximum(np.maximum(edges[truth] - yaw, yaw - edges[truth + 1]), 0.0)
    return outside, [YAWS[place] for place in truth], [f"yaw {one:.0f}" for one in yaw]


FACE_TASKS: dict[str, tuple[str, Callable[[Measured], Told]]] = {
    "age": ("age", _age),
    "gender": ("gender", _classes("gender", GENDERS)),
    "ethnicity": ("ethnicity", _classes("ethnicity", ETHNICITIES)),
    "expression": ("expression", _classes("expression", EXPRESSIONS)),
    "smile": ("smile", _yes("smile", 100)),
    "eyeglasses": ("eyeglasses", _yes("eyeglasses")),
    "attractiveness": ("attractiveness", _attractiveness),
    "landmarks68": ("landmarks", _landmarks),
    "pose": ("pose", _pose),
}
"""Tasks of the face network: the field of the record that each is about, and what tells its errors."""

BOX_TASKS = ("misses", "false_alarms")

SETS_OF = {
    "age": ("utkface",),
    "gender": ("utkface", "celeba", "mtfl"),
    "ethnicity": ("utkface",),
    "expression": ("fer2013",),
    "smile": ("celeba", "mtfl"),
    "eyeglasses": ("celeba", "mtfl"),
    "attractiveness": ("mebeauty",),
    "landmarks68": ("landmarks68",),
    "pose": ("mtfl",),
    "misses": ("crowds",),
    "false_alarms": ("crowds", "scenes"),
}
"""The sets that label each task."""


def face_mistakes(task: str, source: str, faces: Measured) -> list[Mistake]:
    """Return the errors of a face task on the measured faces of a set; those whose field was not measured are left out.

    Raises KeyError for a column that the set lacks, ValueError for labels that cannot be read.
    """
    field, tell = FACE_TASKS[task]
    known = ~np.isnan(faces.faces[field].reshape(len(faces.faces), -1)).any(axis=1)
    faces = faces.where(known)
    if not faces.rows:
        return []
    told = zip(*tell(faces), strict=True)
    found = []
    for (size, truth, guess), row, face in zip(told, faces.rows, faces.faces, strict=True):
        if not size > 0:
            continue
        true, guessed = _points(row, face, field) if field == "landmarks" else (np.empty((0, 2)),) * 2
        region = boxes_around(np.concatenate([true, guessed])[None])[0] if len(true) else face["box"]
        found.append(Mistake(source, row, float(size), truth, guess, _square(region, 1.4), true, guessed))
    return found


def _points(row: Row, face: Any, field: str) -> tuple[Boxes, Boxes]:
    return true_points(row), face[field].astype(np.float64)


def box_mistakes(task: str, source: str, found: Detections, shipped: float) -> list[Mistake]:
    """Return the true boxes that nothing at the shipped score took, or the detections that took none, at IoU .5.

    A miss is the worse the taller the box, a false alarm the higher its score; only what is reported is one.
    """
    own = _misses if task == "misses" else _alarms
    pictures = zip(found.rows, found.boxes, found.scores, strict=True)
    return [
        mistake for row, boxes, scores in pictures for mistake in own(source, row, boxes, scores, shipped)
    ]


def _truth(row: Row) -> Boxes:
    return true_boxes(row)[0] if "boxes" in row else np.empty((0, 4))


def _misses(source: str, row: Row, boxes: Boxes, scores: Boxes, shipped: float) -> Iterable[Mistake]:
    truth, reported = _truth(row), scores >= shipped
    taken = match_boxes(boxes, scores, truth, 0.5).taken
    overlap = box_iou(boxes, truth)
    for place in np.flatnonzero(taken < shipped):
        best = int(overlap[:, place].argmax()) if len(boxes) else -1
        near = f"IoU {overlap[best, place]:.2f}, score {scores[best]:.2f}" if best >= 0 else "nothing near"
        height = truth[place, 3] - truth[place, 1]
        words = f"{true_boxes(row)[1][place]}, {height:.0f} px"
        region = _square(truth[place], 3.0)
        yield Mistake(source, row, float(height), words, near, region, truth[[place]], boxes[reported])


def _alarms(source: str, row: Row, boxes: Boxes, scores: Boxes, shipped: float) -> Iterable[Mistake]:
    truth = _truth(row)
    hits = match_boxes(boxes, scores, truth, 0.5).hits
    overlap = box_iou(boxes, truth).max(axis=1, initial=0.0)
    for place in np.flatnonzero(~hits & (scores >= shipped)):
        height, score = boxes[place, 3] - boxes[place, 1], float(scores[place])
        words, near = f"score {score:.2f}, {height:.0f} px", f"no face; IoU {overlap[place]:.2f}"
        yield Mistake(source, row, score, near, words, _square(boxes[place], 3.0), truth, boxes[[place]])


def _square(box: npt.ArrayLike, grown: float) -> Boxes:
    """Return the square about a box's middle whose side is its longer one times `grown`, 24 pixels at least."""
    corners = np.asarray(box, np.float64)
    middle, half = (
        (corners[:2] + corners[2:]) / 2,
        max(float((corners[2:] - corners[:2]).max()) * grown, 24) / 2,
    )
    return np.concatenate([middle - half, middle + half])


def worst_of(mistakes: Iterable[Mistake], count: int) -> list[Mistake]:
    """Return the `count` largest errors, largest first; equal ones in the order of sets and files."""
    return sorted(mistakes, key=lambda one: (-one.size, one.source, one.row["file"]))[:count]
