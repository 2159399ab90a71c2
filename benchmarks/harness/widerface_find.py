"""Running a detector on a picture as a WIDER FACE protocol names: at VGA, at its own size, or at several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from harness.found_faces import Found, official_boxes
from vultus.decode.nms import suppress
from vultus.engines import Engine, Tensors
from vultus.spec import ModelSpec
from vultus.stages import DetectorStage
from vultus.stopwatch import Stopwatch

__all__ = ["PROTOCOLS", "Finder", "Look"]

Pixels = npt.NDArray[np.uint8]
Look = tuple[float, bool]
"""How a picture is looked at: how often its own size, and whether mirrored."""

VGA = 640
MOST_FACES = 2000


def _vga(width: int, height: int) -> list[Look]:
    return [(VGA / max(width, height), False)]


def _original(width: int, height: int) -> list[Look]:
    return [(1.0, False)]


def _multi(width: int, height: int) -> list[Look]:
    return [(scale, mirrored) for scale in (0.5, 1.0, 2.0) for mirrored in (False, True)]


PROTOCOLS: dict[str, Callable[[int, int], list[Look]]] = {
    "vga": _vga,
    "original": _original,
    "multi": _multi,
}
"""Name of a protocol -> the looks at a picture of a width and height."""


class _Sized:
    """An engine whose spec asks for another input size and for more faces."""

    def __init__(self, engine: Engine, spec: ModelSpec) -> None:
        self._engine, self.spec, self.device = engine, spec, engine.device

    def __call__(self, batch: npt.NDArray[np.float32]) -> Tensors:
        return self._engine(batch)


class Finder:
    """A detector that reports every face down to a low score, by a protocol."""

    def __init__(self, engine: Engine, protocol: str, min_score: float) -> None:
        detector = engine.spec.detector
        if detector is None:
            raise ValueError(f"model {engine.spec.name!r} is no detector; its task is {engine.spec.task!r}")
        if not engine.spec.input.multiple:
            size = engine.spec.input
            raise ValueError(
                f"model {engine.spec.name!r} takes only {size.width}x{size.height}; "
                f"protocol {protocol!r} needs one whose sides are free"
            )
        self.engine, self.min_score = engine, min_score
        self._looks = PROTOCOLS[protocol]
        self._iou = detector.nms_iou

    def __call__(self, bgr: Pixels) -> Found:
        """Return the faces of a BGR picture: boxes as x, y, width, height in its pixels, and scores, best first."""
        looks = self._looks(bgr.shape[1], bgr.shape[0])
        parts = [self._look(bgr, *look) for look in looks]
        boxes, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
        if len(looks) > 1:
            kept = suppress(boxes, scores, self._iou, MOST_FACES)
            boxes, scores = boxes[kept], scores[kept]
        return official_boxes(boxes), scores

    def _look(self, bgr: Pixels, scale: float, mirrored: bool) -> Found:
        """Return boxes x1, y1, x2, y2 in frame pixels and scores of one look."""
        width = bgr.shape[1]
        seen = np.ascontiguousarray(bgr[:, ::-1]) if mirrored else bgr
        boxes, scores = self._cascade(seen, scale) if self._is_cascade else self._sized(seen, scale)
        if mirrored:
            boxes[:, [0, 2]] = width - 1 - boxes[:, [2, 0]]
        return boxes, scores

    @property
    def _is_cascade(self) -> bool:
        return self.engine.spec.detector is not None and self.engine.spec.detector.cascade is not None

    def _sized(self, bgr: Pixels, scale: float) -> Found:
        """Let the runtime's own letterbox bring the picture to the nearest size that the network takes."""
        spec = self.engine.spec
        assert spec.detector is not None, "checked when the Finder was made"
        sides = [max(1, round(side * scale)) for side in (bgr.shape[1], bgr.shape[0])]
        size = replace(spec.input, width=sides[0], height=sides[1], enlarge=max(scale, 1.0) * 1.5)
        more = replace(spec.detector, max_faces=MOST_FACES)
        sized = _Sized(self.engine, replace(spec, input=size, detector=more))
        faces = DetectorStage(sized, self.min_score)(bgr, Stopwatch())  # type: ignore[arg-type]
        return faces["box"].astype(np.float64), faces["score"].astype(np.float64)

    def _cascade(self, bgr: Pixels, scale: float) -> Found:
        """Resize the picture, since a cascade looks at whatever size it is given."""
        sides = [max(1, round(side * scale)) for side in (bgr.shape[1], bgr.shape[0])]
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        same = sides == [bgr.shape[1], bgr.shape[0]]
        resized = bgr if same else np.asarray(cv2.resize(bgr, sides, interpolation=method), np.uint8)
        faces = DetectorStage(self.engine, self.min_score)(resized, Stopwatch())
        ratio = np.array([bgr.shape[1] / sides[0], bgr.shape[0] / sides[1]] * 2)
        return (faces["box"] + 0.5) * ratio - 0.5, faces["score"].astype(np.float64)
