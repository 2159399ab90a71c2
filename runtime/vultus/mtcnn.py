"""The detector stage of MTCNN (Zhang et al. 2016): three networks in a cascade behind the one detector's interface.

The first network slides over a pyramid of the frame, one run a level; each later one judges crops of all that is
left, batched. All levels and crops are shrunk from one table of sums (`vultus.areas`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vultus.areas import Areas
from vultus.decode.candidates import CANDIDATES_PER_FACE, detector_of, output_of
from vultus.decode.mtcnn import (
    crop_ranges,
    frame_boxes,
    frame_points,
    moved,
    pyramid_scales,
    sigmoid,
    squared,
    suppress_inside,
    windows,
)
from vultus.decode.nms import suppress
from vultus.engines.cascade import CascadeEngine
from vultus.errors import DeviceError, SpecError
from vultus.spec import CascadeSpec
from vultus.types import FaceArray, empty_faces

if TYPE_CHECKING:
    from vultus.engines import Engine
    from vultus.stopwatch import Stopwatch

__all__ = ["CascadeStage", "cascade_stage"]

Array = npt.NDArray[np.float32]

STAGES = (("logit", 1), ("box", 4)), (("logit", 1), ("box", 4), ("points", 10))
"""What the second and the third network give for a crop, in the order of their specs' levels."""

MAX_BATCH = 256
"""Crops that go through a network at once, to bound memory."""


def cascade_stage(engine: Engine, min_score: float) -> CascadeStage | None:
    """Return the stage of a cascade, or None for an engine that is a detector by itself.

    Raises DeviceError when the engine holds the first network alone.
    """
    if detector_of(engine.spec).cascade is None:
        return None
    if not isinstance(engine, CascadeEngine):
        raise DeviceError(
            f"model {engine.spec.name!r} is a cascade of several networks, of which {engine.device} runs the first "
            "alone; ask for device='cpu'"
        )
    return CascadeStage(engine, min_score)


class CascadeStage:
    """Pyramid, three networks and what lies between them; called as `vultus.stages.DetectorStage` is."""

    def __init__(self, engine: CascadeEngine, min_score: float) -> None:
        detector = detector_of(engine.spec)
        self.engine = engine
        self.min_score = min_score
        self._detector = detector
        self._cascade = _checked(engine)
        self._names = detector.levels[0].output, detector.levels[1].output

    def __call__(self, bgr: npt.NDArray[np.uint8], watch: Stopwatch) -> FaceArray:
        """Return the faces of a BGR picture: boxes, scores and points in its pixels, the rest NaN."""
        with watch.stage("letterbox"):
            areas = Areas(bgr, self.engine.spec.input)
        boxes = squared(self._proposals(areas, watch))
        boxes = squared(self._refined(areas, boxes, watch))
        return self._faces(areas, boxes, watch)

    def _proposals(self, areas: Areas, watch: Stopwatch) -> Array:
        """Return the boxes (k, 4) that the first network proposes, moved as it says."""
        cascade, name = self._cascade, self.engine.spec.name
        parts = [(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 4), np.float32))]
        for scale in pyramid_scales(areas.width, areas.height, cascade.smallest, cascade.factor):
            with watch.stage("letterbox"):
                level = areas.level(int(areas.width * scale + 1), int(areas.height * scale + 1))
            with watch.stage("detect"):
                outputs = self.engine(level)
            with watch.stage("decode_boxes"):
                boxes, scores, moves = windows(outputs, self._names, name, scale, cascade.min_score)
                kept = suppress(boxes, scores, cascade.level_iou, self._most)
                parts.append((boxes[kept], scores[kept], moves[kept]))
        with watch.stage("decode_boxes"):
            boxes, scores, moves = (np.concatenate(part) for part in zip(*parts, strict=True))
            kept = suppress(boxes, scores, cascade.iou, self._most)
            return _finite(moved(boxes[kept], moves[kept], whole=0))

    def _refined(self, areas: Areas, boxes: Array, watch: Stopwatch) -> Array:
        """Return the boxes (k, 4) that the second network leaves, moved as it says."""
        own = detector_of(self.engine.later[0].spec)
        boxes, (logits, moves) = self._judged(0, areas, boxes, watch)
        with watch.stage("decode_boxes"):
            scores = sigmoid(logits[:, 0])
            sure = scores >= np.float32(own.min_score)
            boxes, scores, moves = boxes[sure], scores[sure], moves[sure]
            kept = suppress(boxes, scores, own.nms_iou)
            return _finite(moved(boxes[kept], moves[kept]))

    def _faces(self, areas: Areas, boxes: Array, watch: Stopwatch) -> FaceArray:
        """Return the records of the boxes that the third network calls faces, best score first."""
        boxes, (logits, moves, points) = self._judged(1, areas, boxes, watch)
        with watch.stage("decode_boxes"):
            scores = sigmoid(logits[:, 0])
            sure = (scores >= np.float32(self.min_score)) & np.isfinite(moves).all(axis=1)
            sure &= np.isfinite(points).all(axis=1)
            boxes, scores, points = boxes[sure], scores[sure], points[sure]
            better = moved(boxes, moves[sure])
            kept = suppress_inside(better, scores, self._detector.nms_iou)[: self._detector.max_faces]
            faces = empty_faces(len(kept))
            faces["box"] = frame_boxes(better[kept])
            faces["points"] = frame_points(boxes[kept], points[kept])
            faces["score"] = scores[kept]
            return faces

    def _judged(self, place: int, areas: Areas, boxes: Array, watch: Stopwatch) -> tuple[Array, list[Array]]:
        """Return the boxes that lie in the picture, and what a later network gives for each."""
        engine = self.engine.later[place]
        size = engine.spec.input
        ranges = crop_ranges(boxes, areas.width, areas.height)
        inside = (ranges[:, :2] < ranges[:, 2:]).all(axis=1)
        boxes, ranges = boxes[inside], ranges[inside]
        parts = [[np.empty((0, count), np.float32) for _, count in STAGES[place]]]
        for start in range(0, len(boxes), MAX_BATCH):
            with watch.stage("letterbox"):
                crops = areas.crops(ranges[start : start + MAX_BATCH], size.width, size.height)
            with watch.stage("detect"):
                parts.append(_outputs(engine, crops, place))
        return boxes, [np.concatenate(part) for part in zip(*parts, strict=True)]

    @property
    def _most(self) -> int:
        """How many proposals are worth a closer look: a bound on the work of a bad picture."""
        return self._detector.max_faces * CANDIDATES_PER_FACE


def _outputs(engine: Engine, crops: Array, place: int) -> list[Array]:
    """Return copies of what a later network gives for crops, in the order of its spec's levels."""
    given = engine(crops)
    levels = detector_of(engine.spec).levels
    wanted = zip(levels, STAGES[place], strict=True)
    for level, (_, count) in wanted:
        output_of(given, len(crops) - 1, level.output, (count,), engine.spec.name)
    return [np.array(given[level.output], np.float32) for level in levels]


def _finite(boxes: Array) -> Array:
    return boxes[np.isfinite(boxes).all(axis=1)]


def _checked(engine: CascadeEngine) -> CascadeSpec:
    """Return the cascade's numbers; raises SpecError unless its networks are MTCNN's three."""
    cascade = detector_of(engine.spec).cascade
    specs = [engine.spec, *(later.spec for later in engine.later)]
    counts = [len(spec.detector.levels) if spec.detector else 0 for spec in specs]
    if cascade is None or counts != [2, 2, 3]:
        raise SpecError(
            f"model {engine.spec.name!r} is no MTCNN: its networks give {counts} outputs, expected [2, 2, 3]"
        )
    return cascade
