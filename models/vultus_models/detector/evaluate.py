"""How good a detector is on pictures kept back from training, through the runtime's own letterbox and decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vultus.decode.anchors import decode
from vultus.geometry import box_iou
from vultus.preprocess import letterbox
from vultus.spec import ModelSpec
from vultus.types import FaceArray

__all__ = ["Detect", "Judged", "average_precision", "detect_with", "judged", "point_error", "recall_at"]

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
Detect = Callable[[Pixels], FaceArray]
"""A BGR picture to its faces in picture pixels, best score first."""


@dataclass(frozen=True)
class Judged:
    """The detections of a set against its truth, best score first, and how many faces were to be found."""

    scores: Array
    right: npt.NDArray[np.bool_]
    wanted: int


def detect_with(model: nn.Module, spec: ModelSpec, min_score: float) -> Detect:
    """Return a function that runs a torch detector as the runtime would."""
    assert spec.detector is not None
    names = [level.output for level in spec.detector.levels]

    def detect(picture: Pixels) -> FaceArray:
        tensor, affine = letterbox(picture, spec.input)
        with torch.no_grad():
            maps = model(torch.from_numpy(tensor))
        outputs = {name: m.float().numpy() for name, m in zip(names, maps, strict=True)}
        return decode(outputs, 0, spec, affine, min_score)

    return detect


def judged(found: Iterable[FaceArray], truth: Iterable[Array], iou: float) -> Judged:
    """Match detections to true boxes picture by picture: each true box is found once, by the best score."""
    scores: list[float] = []
    right: list[bool] = []
    wanted = 0
    for faces, boxes in zip(found, truth, strict=True):
        free = np.ones(len(boxes), bool)
        wanted += len(boxes)
        for face, overlaps in zip(faces, box_iou(faces["box"], boxes), strict=True):
            overlaps = np.where(free, overlaps, -1.0)
            best = int(overlaps.argmax()) if len(boxes) else -1
            hit = best >= 0 and overlaps[best] >= iou
            if hit:
                free[best] = False
            scores.append(float(face["score"]))
            right.append(hit)
    order = np.argsort(-np.array(scores), kind="stable")
    return Judged(np.array(scores)[order], np.array(right, bool)[order], wanted)


def average_precision(result: Judged) -> float:
    """Return the area under the precision-recall curve with precision made monotone (PASCAL VOC 2010)."""
    if not result.wanted or not len(result.scores):
        return 0.0
    hits = np.cumsum(result.right)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[result.right].sum() / result.wanted)


def recall_at(result: Judged, score: float) -> float:
    """Return the share of true faces found with at least this score."""
    return float((result.right & (result.scores >= score)).sum() / max(1, result.wanted))


def point_error(found: Sequence[FaceArray], truth: Sequence[Array], score: float) -> tuple[float, float]:
    """Return the mean point error as a share of the eye-to-mouth size, and the share of faces that were found.

    truth: (5, 2) a picture. The size is the root of the product of the sides of the box around the true points.
    """
    errors = []
    for faces, points in zip(found, truth, strict=True):
        size = np.sqrt(np.ptp(points, axis=0).prod())
        sure = faces["points"][faces["score"] >= score]
        away = np.linalg.norm(sure - points, axis=-1).mean(axis=-1) / size
        if len(away) and away.min() < 0.5:
            errors.append(float(away.min()))
    return (float(np.mean(errors)) if errors else float("nan")), len(errors) / max(1, len(truth))
