"""Detection metrics: matching, average precision, recall at a score or at a number of false alarms.

Matching is greedy as COCO does it: detections by falling score each take the free true box that they
overlap most, if by at least the asked IoU. One truth counts once; every other detection is a false one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.geometry import box_iou

__all__ = ["LOWEST_SCORE", "Matched", "average_precision", "match_boxes", "recall_at", "score_for_alarms"]

Array = npt.NDArray[np.float64]

LOWEST_SCORE = 0.02
"""Detections below this score are not asked for; precision there is too low to add to the area."""


@dataclass(frozen=True)
class Matched:
    """One picture's detections against its truth.

    scores: (n,) of every detection. hits: (n,) bool, whether it took a true box. taken: (m,) for each true
    box the score of the detection that took it, -inf where none did.
    """

    scores: Array
    hits: npt.NDArray[np.bool_]
    taken: Array


def match_boxes(boxes: npt.ArrayLike, scores: npt.ArrayLike, truth: npt.ArrayLike, iou: float) -> Matched:
    """Match the boxes (n, 4) with their scores (n,) to the true boxes (m, 4) of the same picture."""
    score = np.asarray(scores, np.float64).reshape(-1)
    overlap = box_iou(boxes, truth)
    hits = np.zeros(len(score), np.bool_)
    taken = np.full(overlap.shape[1], -np.inf)
    for index in np.argsort(-score, kind="stable"):
        free = np.where(np.isneginf(taken), overlap[index], -1.0)
        best = int(free.argmax()) if free.size else -1
        if best >= 0 and free[best] >= iou:
            hits[index], taken[best] = True, score[index]
    return Matched(score, hits, taken)


def average_precision(pictures: Sequence[Matched]) -> float:
    """Return the area under the precision envelope over recall (all-point interpolation, VOC 2010 and later).

    Detections of equal score enter together, so the result does not depend on the order of pictures.
    NaN when there is no true box.
    """
    truths = sum(len(picture.taken) for picture in pictures)
    if not truths:
        return float("nan")
    scores = np.concatenate([picture.scores for picture in pictures])
    order = np.argsort(-scores, kind="stable")
    hits = np.concatenate([picture.hits for picture in pictures])[order]
    last = np.append(np.diff(scores[order]) != 0, True)[: len(order)]
    found = np.cumsum(hits)[last]
    precision = found / (np.flatnonzero(last) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(found, prepend=0) / truths * envelope).sum())


def recall_at(pictures: Sequence[Matched], score: float) -> float:
    """Return the share of true boxes taken by a detection of at least `score`; NaN without any."""
    taken = np.concatenate([np.empty(0), *(picture.taken for picture in pictures)])
    lowest = max(score, float(np.finfo(np.float64).min))  # what nothing took stands at -inf
    return float((taken >= lowest).mean()) if taken.size else float("nan")


def score_for_alarms(scores: npt.ArrayLike, alarms: int) -> float:
    """Return the lowest score that at most `alarms` false detections reach; -inf when all may stay."""
    falling = np.sort(np.asarray(scores, np.float64).reshape(-1))[::-1]
    if len(falling) <= alarms:
        return float("-inf")
    return float(np.nextafter(falling[alarms], np.inf))
