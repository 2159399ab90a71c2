"""Calibration entries: whether faces turn out as often right as the models' probabilities say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.entries import summary
from vultus_export.metrics.calibration import (
    BINS,
    bin_gaps,
    binary_top,
    calibration_error,
    overconfidence,
    top_class,
    within_spread,
)
from vultus_export.metrics.faces import Measured
from vultus_export.metrics.fields import classes_of
from vultus_export.metrics.intervals import Index

__all__ = ["CALIBRATION", "age_calibration", "box_calibration", "class_calibration", "yes_calibration"]

CALIBRATION = "calibration"
SPREADS = {"within_1_spread": 1.0, "within_2_spreads": 2.0}

Boxes = Sequence[npt.NDArray[Any]]
Stated = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]


def _entry(path: str, stated: Stated) -> dict[str, Any]:
    confidence, right = stated
    metrics = {
        "ece": lambda at: calibration_error(confidence[at], right[at]),
        "overconfidence": lambda at: overconfidence(confidence[at], right[at]),
    }
    return {CALIBRATION: {**summary(f"{path}.{CALIBRATION}", len(right), metrics), "bins": BINS}}


def class_calibration(path: str, faces: Measured, field: str) -> dict[str, Any]:
    """Return the calibration of a softmax field's likeliest class."""
    _, truth = classes_of(faces, field)
    return _entry(path, top_class(faces.faces[field], truth))


def yes_calibration(path: str, probability: npt.ArrayLike, truth: npt.ArrayLike) -> dict[str, Any]:
    """Return the calibration of a field that says yes or no, by the probability of the likelier answer."""
    return _entry(path, binary_top(probability, truth))


def age_calibration(path: str, faces: Measured) -> dict[str, Any]:
    """Return how often the labelled age lies within one and two `age_spread` of the mean; {} without a spread.

    `promised` says how often it would if the error were normal with that standard deviation.
    """
    guess, spread = faces.faces["age"].astype(np.float64), faces.faces["age_spread"].astype(np.float64)
    truth = faces.numbers("age")
    if np.isnan(spread).any():
        return {}

    def share(times: float) -> Callable[[Index], float]:
        return lambda at: within_spread(guess[at], spread[at], truth[at], times)[0]

    entry = summary(f"{path}.{CALIBRATION}", len(truth), {key: share(by) for key, by in SPREADS.items()})
    entry["promised"] = {key: round(within_spread([], [], [], by)[1], 5) for key, by in SPREADS.items()}
    entry["mean_spread"] = round(float(spread.mean()), 5)
    return {CALIBRATION: entry}


def box_calibration(path: str, scores: Boxes, hits: Boxes, shipped: float) -> dict[str, Any]:
    """Return the calibration of detections' scores: of all, and under `_shipped` of those a shipped model reports.

    scores, hits: for each picture the scores (k,) and whether each took a true box. Draws are of pictures.
    """
    metrics = {}
    for end, least in (("", -np.inf), ("_shipped", shipped)):
        kept = [score >= least for score in scores]
        parts = zip(scores, hits, kept, strict=True)
        gaps = np.stack([bin_gaps(score[keep], hit[keep]) for score, hit, keep in parts])
        counts = np.array([int(keep.sum()) for keep in kept])
        metrics[f"ece{end}"] = _of_pictures(np.abs, gaps, counts)
        metrics[f"overconfidence{end}"] = _of_pictures(np.asarray, gaps, counts)
    entry = summary(f"{path}.{CALIBRATION}", len(scores), metrics)
    entry["pictures"], entry["n"] = entry["n"], sum(len(score) for score in scores)
    entry["n_shipped"] = int(sum((score >= shipped).sum() for score in scores))
    return {CALIBRATION: {**entry, "bins": BINS}}


def _of_pictures(of_bin: Callable[[Any], Any], gaps: Any, counts: Any) -> Callable[[Index], float]:
    """Return the sum of `of_bin` over the bins' gaps, a share of all boxes of the pictures drawn."""

    def metric(at: Index) -> float:
        size = counts[at].sum()
        return float(of_bin(gaps[at].sum(axis=0)).sum() / size) if size else float("nan")

    return metric
