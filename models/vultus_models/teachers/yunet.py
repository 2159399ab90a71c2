"""YuNet (Wu et al. 2023) through OpenCV: boxes and five points for pictures that have no labelled points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Found", "YuNet"]

Array = npt.NDArray[np.float64]
PAD = 16
SMALL, LARGE, MAX_ENLARGE = 224, 384, 3.0


@dataclass(frozen=True)
class Found:
    """Faces of one picture: boxes (n, 4) x1 y1 x2 y2, points (n, 5, 2), scores (n,), in picture pixels."""

    boxes: Array
    points: Array
    scores: Array


class YuNet:
    """The detector, opened once and fed with pictures of any size.

    Small pictures are enlarged and all get a margin, since the detector misses faces that touch the border.
    """

    def __init__(self, model: Path, min_score: float = 0.5) -> None:
        if not model.exists():
            raise FileNotFoundError(
                f"{model} is not there; it is YuNet's ONNX file, needed to label pictures"
            )
        self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), min_score, 0.3, 50)

    def __call__(self, bgr: npt.NDArray[np.uint8]) -> Found:
        """Find the faces of a BGR picture; tries a second scale when the first shows none."""
        longest = max(bgr.shape[:2])
        side = SMALL if longest <= SMALL else LARGE
        scale = min(side / longest, MAX_ENLARGE)
        found = self._at(bgr, scale)
        return found if len(found.scores) else self._at(bgr, scale * 0.55)

    def _at(self, bgr: npt.NDArray[np.uint8], scale: float) -> Found:
        height, width = (max(1, round(n * scale)) for n in bgr.shape[:2])
        canvas = np.full((_multiple(height + 2 * PAD), _multiple(width + 2 * PAD), 3), 128, np.uint8)
        canvas[PAD : PAD + height, PAD : PAD + width] = cv2.resize(bgr, (width, height))
        self._net.setInputSize((canvas.shape[1], canvas.shape[0]))
        rows = self._net.detect(canvas)[1]
        values = np.zeros((0, 15)) if rows is None else np.asarray(rows, np.float64)
        xy = values[:, :14].reshape(-1, 7, 2).copy()
        ratio = np.array([width / bgr.shape[1], height / bgr.shape[0]])
        xy[:, [0, 2, 3, 4, 5, 6]] = (xy[:, [0, 2, 3, 4, 5, 6]] - PAD + 0.5) / ratio - 0.5
        boxes = np.concatenate([xy[:, 0], xy[:, 0] + xy[:, 1] / ratio], axis=1)
        return Found(boxes, xy[:, 2:], values[:, 14])


def _multiple(side: int, of: int = 32) -> int:
    return -(-side // of) * of
