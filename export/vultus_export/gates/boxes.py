"""Detectors through the runtime: against labelled boxes and points, and against the master's own faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.errors import InputError
from vultus.types import FaceArray
from vultus_export.gates.agreement import mean_of
from vultus_export.gates.detections import Detected, chosen, pairs_of
from vultus_export.gates.groups import groups_of
from vultus_export.gates.judge import Comparison
from vultus_export.gates.sources import Row
from vultus_export.metrics.detection import Matched, average_precision, match_boxes
from vultus_export.metrics.faces import Measured, true_boxes
from vultus_export.metrics.fields import FIELDS, Metric

__all__ = ["compare_boxes"]

IOUS = {"50": 0.5, "40": 0.4}


def compare_boxes(detected: Sequence[Detected], place: int) -> list[Comparison]:
    """Return the comparisons of detector `place` with detector 0 (the master).

    Raises InputError when the master finds no face in any picture.
    """
    found: list[Comparison] = []
    for one in detected:
        if "boxes" in one.source.labels:
            found += _crowd(one, place)
        elif one.source.labels:
            found += _single(one, place)
        elif one.source.name == "scenes":
            found.append(_alarms(one, place))
    return found + _agreement(detected, place)


def _crowd(one: Detected, place: int) -> list[Comparison]:
    """Return AP over pictures and recall over true boxes, by the label of the box."""
    truth = [true_boxes(row) for row in one.source.rows]
    labels = np.concatenate([label for _, label in truth])
    kinds = {str(name): np.flatnonzero(labels == name) for name in np.unique(labels)}
    found = []
    for name, iou in IOUS.items():
        master, candidate = (_matched(one.low[i], truth, iou) for i in (0, place))
        found.append(
            Comparison(
                f"ap{name}.{one.source.name}", "score", len(truth), _precision(master), _precision(candidate)
            )
        )
        recalls = _recall(master, one.limits[0]), _recall(candidate, one.limits[place])
        found.append(Comparison(f"recall{name}.{one.source.name}", "score", len(labels), *recalls, kinds))
    return found


def _matched(found: Sequence[FaceArray], truth: Sequence[tuple[Any, Any]], iou: float) -> list[Matched]:
    pairs = zip(found, truth, strict=True)
    return [match_boxes(faces["box"], faces["score"], true, iou) for faces, (true, _) in pairs]


def _recall(matched: Sequence[Matched], least: float) -> Metric:
    """Return the share of true boxes that are found with a score, as a function of indices into all true boxes."""
    return _share(np.concatenate([picture.taken for picture in matched]) >= least)


def _precision(matched: Sequence[Matched]) -> Metric:
    return lambda at: average_precision([matched[i] for i in at])


def _share(values: npt.NDArray[np.bool_]) -> Metric:
    return lambda at: float(values[at].mean())


def _single(one: Detected, place: int) -> list[Comparison]:
    """Return the share of rows whose labelled face is found, and the points' error where both detectors find it."""
    rows, source = one.source.rows, one.source
    pair = [chosen(source, one.shipped[i]) for i in (0, place)]
    there = [np.array([face is not None for face in faces]) for faces in pair]
    share = (_share(there[0]), _share(there[1]))
    found = [Comparison(f"found.{source.name}", "score", len(rows), *share, groups_of(rows))]
    both = np.flatnonzero(there[0] & there[1])
    if "leye_x" not in source.labels or not len(both):
        return found
    kept = tuple(rows[i] for i in both)
    master, candidate = (
        _points_error(kept, [face for i in both if (face := faces[i]) is not None]) for faces in pair
    )
    name = f"points.{source.name}.nme_eye"
    return [*found, Comparison(name, "error", len(kept), master, candidate, groups_of(kept))]


def _points_error(rows: tuple[Row, ...], faces: Sequence[FaceArray]) -> Metric:
    measured = Measured(rows, np.concatenate(list(faces)), len(rows), 0, {})
    return FIELDS["points"].metrics(measured)["nme_eye"]


def _alarms(one: Detected, place: int) -> Comparison:
    """Return the mean number of boxes on pictures without faces."""
    master, candidate = (np.array([len(faces) for faces in one.shipped[i]], np.float64) for i in (0, place))
    name = f"false_alarms.{one.source.name}"
    return Comparison(name, "error", len(master), _mean(master), _mean(candidate))


def _mean(values: npt.NDArray[np.float64]) -> Metric:
    return lambda at: float(values[at].mean())


def _agreement(detected: Sequence[Detected], place: int) -> list[Comparison]:
    """Return lost, extra and flipped boxes, and how far the shared ones moved, over the faces that count.

    A box is lost when the other detector has none there even at half its least score; where it has one below its least
    score, the box flips.
    """
    pairs = [pair for one in detected for pair in pairs_of(one, place)]
    mine = [pair for pair in pairs if pair.of_master]
    if not mine:
        raise InputError("the master finds no face in any picture; give pictures of people")
    extra = [pair for pair in pairs if not pair.of_master]
    shared = [pair for pair in mine if pair.score > 0]
    found = [
        mean_of(
            "boxes.lost", "lost", [pair.score <= 0 for pair in mine], groups_of([pair.row for pair in mine])
        )
    ]
    found += [mean_of("boxes.extra", "lost", [pair.score <= 0 for pair in extra], {})] if extra else []
    rows = [pair.row for pair in pairs]
    found.append(mean_of("boxes.flips", "flips", [pair.flipped for pair in pairs], groups_of(rows)))
    groups = groups_of([pair.row for pair in shared])
    if shared:
        found.append(mean_of("boxes.overlap", "box", [pair.gap for pair in shared], groups, largest=True))
        found.append(mean_of("boxes.points", "points", [pair.apart for pair in shared], groups, largest=True))
    return found
