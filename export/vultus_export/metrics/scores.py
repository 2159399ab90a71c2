"""Classification, regression and landmark metrics. NaN stands for a figure that the input does not define."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "accuracy",
    "balanced_accuracy",
    "class_recalls",
    "landmark_errors",
    "mean_absolute_error",
    "pearson",
    "ranking_auc",
]

Array = npt.NDArray[np.float64]
Classes = npt.NDArray[np.intp]


def accuracy(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the share of equal entries."""
    same = np.asarray(predicted) == np.asarray(truth)
    return float(same.mean()) if same.size else float("nan")


def class_recalls(predicted: npt.ArrayLike, truth: npt.ArrayLike, classes: int) -> Array:
    """Return for each class 0 ... classes - 1 the share of its members predicted so; NaN where none are."""
    guess, true = np.asarray(predicted), np.asarray(truth)
    members = np.bincount(true, minlength=classes).astype(np.float64)
    right = np.bincount(true[guess == true], minlength=classes).astype(np.float64)
    return np.asarray(np.divide(right, members, out=np.full(classes, np.nan), where=members > 0))


def balanced_accuracy(predicted: npt.ArrayLike, truth: npt.ArrayLike, classes: int) -> float:
    """Return the mean recall over the classes that occur in the truth (macro recall)."""
    recalls = class_recalls(predicted, truth, classes)
    present = recalls[~np.isnan(recalls)]
    return float(present.mean()) if present.size else float("nan")


def ranking_auc(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Return the chance that a positive scores above a negative, ties counting half (area under ROC)."""
    values, label = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    pairs = int(label.sum()) * int((~label).sum())
    if not pairs:
        return float("nan")
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place.reshape(-1)]
    size = int(label.sum())
    return float((ranks[label].sum() - size * (size + 1) / 2) / pairs)


def pearson(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the linear correlation of two series; NaN when either is constant or shorter than two."""
    one, two = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if len(one) < 2 or not np.ptp(one) or not np.ptp(two):
        return float("nan")
    one, two = one - one.mean(), two - two.mean()
    return float((one * two).sum() / np.sqrt((one * one).sum() * (two * two).sum()))


def mean_absolute_error(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the mean distance of two series, in their own unit."""
    gap = np.abs(np.asarray(predicted, np.float64) - np.asarray(truth, np.float64))
    return float(gap.mean()) if gap.size else float("nan")


def landmark_errors(predicted: npt.ArrayLike, truth: npt.ArrayLike, first_eye: int, second_eye: int) -> Array:
    """Return each face's mean point distance in percent of the true distance of two of its points.

    predicted, truth: (n, k, 2) in pixels. The points `first_eye` and `second_eye` of the truth set the scale:
    eye centres for 5 points, outer eye corners (36 and 45) for 68.
    """
    guess, true = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    scale = np.linalg.norm(true[:, first_eye] - true[:, second_eye], axis=-1)
    mean = np.linalg.norm(guess - true, axis=-1).mean(axis=-1)
    return np.asarray(100 * np.divide(mean, scale, out=np.full(len(true), np.nan), where=scale > 0))
