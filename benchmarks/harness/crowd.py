"""The detector's figures: real crowds against their boxes, and pictures without faces for false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from harness.calibrated import box_calibration
from harness.crosses import crossed
from harness.entries import group_entry, rounded, summary
from vultus_export.metrics.detection import (
    Matched,
    average_precision,
    match_boxes,
    recall_at,
    score_for_alarms,
)
from vultus_export.metrics.faces import Detections, true_boxes
from vultus_export.metrics.intervals import Index

__all__ = ["ALARMS", "crowd_figures", "scene_figures"]

ALARMS = 10
PATH = "detector.crowds"
HEIGHTS = (0, 16, 32, 64, 100000)
SIZES = tuple(f"{low}-{high}" if high < HEIGHTS[-1] else f"{low}+" for low, high in pairwise(HEIGHTS))
BY_BOTH = "recall_by_label_height"


def crowd_figures(found: Detections, scenes: Detections | None, shipped: float) -> dict[str, Any]:
    """Return AP at IoU .5 and .4, and recall at the shipped score and at ten false alarms on `scenes`."""
    truth = [true_boxes(row) for row in found.rows]
    by_iou = {iou: _matched(found, truth, iou) for iou in (0.5, 0.4)}
    alarm = score_for_alarms(np.concatenate([np.empty(0), *scenes.scores]), ALARMS) if scenes else None
    metrics = {
        "ap50": lambda at: average_precision([by_iou[0.5][i] for i in at]),
        "ap40": lambda at: average_precision([by_iou[0.4][i] for i in at]),
        "recall": _recall(by_iou[0.5], shipped),
        "recall_40": _recall(by_iou[0.4], shipped),
        "recall_10fp": _recall(by_iou[0.5], alarm),
        "recall_10fp_40": _recall(by_iou[0.4], alarm),
    }
    entry = summary(PATH, len(found.rows), metrics)
    entry["pictures"], entry["n"] = entry["n"], sum(len(boxes) for boxes, _ in truth)
    entry["score"] = rounded(shipped)
    entry["score_10fp"] = None if alarm is None else rounded(max(alarm, 0.0))
    scores, hits = ([getattr(picture, part) for picture in by_iou[0.5]] for part in ("scores", "hits"))
    entry |= _recall_by_kind(by_iou[0.5], truth, shipped)
    return {**entry, **box_calibration(PATH, scores, hits, shipped)}


def scene_figures(scenes: Detections, shipped: float) -> dict[str, Any]:
    """Return how many boxes the shipped score leaves on pictures that hold no face."""
    counts = np.array([(score >= shipped).sum() for score in scenes.scores])
    entry = summary("detector.scenes", len(counts), {"false_alarms": lambda at: float(counts[at].sum())})
    return {**entry, "false_alarms": int(counts.sum()), "score": rounded(shipped)}


def _matched(found: Detections, truth: Sequence[tuple[Any, Any]], iou: float) -> list[Matched]:
    pictures = zip(found.boxes, found.scores, truth, strict=True)
    return [match_boxes(boxes, scores, true, iou) for boxes, scores, (true, _) in pictures]


def _recall(matched: Sequence[Matched], score: float | None) -> Any:
    """Return the recall at a score as a function of picture indices; undefined where the score is."""

    def recall(at: Index) -> float:
        return float("nan") if score is None else recall_at([matched[i] for i in at], score)

    return recall


def _recall_by_kind(
    matched: Sequence[Matched], truth: Sequence[tuple[Any, Any]], score: float
) -> dict[str, Any]:
    """Return the recall at the shipped score by label, by the true box's height in pixels, and by both."""
    taken = np.concatenate([picture.taken for picture in matched]) >= score
    labels = np.concatenate([label for _, label in truth])
    heights = np.concatenate([boxes[:, 3] - boxes[:, 1] for boxes, _ in truth])
    names = np.array(SIZES)[np.searchsorted(HEIGHTS[1:-1], heights, side="right")]
    picture = np.repeat(np.arange(len(truth)), [len(label) for _, label in truth])

    def recall(at: Index) -> float:
        return float(taken[at].mean()) if len(at) else float("nan")

    axes = {"label": (labels, np.unique(labels).tolist()), "height": (names, SIZES)}
    kinds = {
        f"recall_by_{kind}": {
            name: group_entry(
                f"{PATH}.recall_by_{kind}.{name}", np.flatnonzero(groups == name), "recall", recall, picture
            )
            for name in shown
        }
        for kind, (groups, shown) in axes.items()
    }
    return {**kinds, BY_BOTH: crossed(f"{PATH}.{BY_BOTH}", axes, "recall", recall, picture)}
