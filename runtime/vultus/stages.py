"""The two network stages of the host pipeline: frame -> boxes and points, faces -> attributes."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.decode.heads import check_heads, decode_into
from vultus.engines import Engine
from vultus.errors import SpecError
from vultus.geometry import crop_affines
from vultus.mtcnn import cascade_stage
from vultus.preprocess import crops_into, input_size, letterbox_into
from vultus.spec import ModelSpec
from vultus.stopwatch import Stopwatch
from vultus.types import FaceArray

__all__ = ["DetectorStage", "FaceStage", "check_spec"]

DECODERS = {
    "anchors": "vultus.decode.anchors",
    "centerface": "vultus.decode.centerface",
    "mtcnn": "vultus.decode.mtcnn",
    "yunet": "vultus.decode.yunet",
}
"""Decoder named in a detector's spec -> module that turns raw maps into FACE records."""

MAX_BATCH = 64
"""Faces that go through the face network at once; a larger crowd goes in several batches to bound memory."""

Pixels = npt.NDArray[np.uint8]


def check_spec(spec: ModelSpec, where: str) -> None:
    """Raise SpecError, naming `where`, when this vultus cannot decode what the model gives."""
    if spec.detector and spec.detector.decoder not in DECODERS:
        raise SpecError(
            f"{where} names the decoder {spec.detector.decoder!r}; this vultus has: {', '.join(sorted(DECODERS))}"
        )
    try:
        check_heads(spec)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error


class DetectorStage:
    """Letterbox, detector and decoder; the input tensor is kept between frames of one size."""

    def __init__(self, engine: Engine, min_score: float | None) -> None:
        check_spec(engine.spec, f"model {engine.spec.name!r}")
        detector = engine.spec.detector
        if detector is None:
            raise SpecError(f"model {engine.spec.name!r} is no detector; its task is {engine.spec.task!r}")
        self.engine = engine
        self.min_score = detector.min_score if min_score is None else min_score
        self._decoder: Any = import_module(DECODERS[detector.decoder])
        self._input = np.empty((0, 3, 0, 0), np.float32)
        self._cascade = cascade_stage(engine, self.min_score)

    def __call__(self, bgr: Pixels, watch: Stopwatch) -> FaceArray:
        """Return the faces of a BGR picture: boxes, scores and points in its pixels, the rest NaN."""
        if self._cascade is not None:
            return self._cascade(bgr, watch)
        spec = self.engine.spec
        with watch.stage("letterbox"):
            width, height = input_size(bgr.shape[1], bgr.shape[0], spec.input)
            if self._input.shape != (1, 3, height, width):
                self._input = np.empty((1, 3, height, width), np.float32)
            affine = letterbox_into(bgr, spec.input, self._input[0])
        with watch.stage("detect"):
            outputs = self.engine(self._input)
        with watch.stage("decode_boxes"):
            faces: FaceArray = self._decoder.decode(outputs, 0, spec, affine, self.min_score, (width, height))
        return faces


class FaceStage:
    """Alignment, face network and decoder for all faces of a frame; crop buffers only ever grow."""

    def __init__(self, engine: Engine, attributes: Collection[str]) -> None:
        self.engine = engine
        self.attributes = attributes
        check_spec(engine.spec, f"model {engine.spec.name!r}")
        self._crops = np.empty((0, 3, engine.spec.input.height, engine.spec.input.width), np.float32)

    def __call__(self, bgr: Pixels, faces: FaceArray, watch: Stopwatch) -> None:
        """Fill the attributes of faces whose points are known, in place."""
        for start in range(0, len(faces), MAX_BATCH):
            self._batch(bgr, faces[start : start + MAX_BATCH], watch)

    def _batch(self, bgr: Pixels, faces: FaceArray, watch: Stopwatch) -> None:
        spec = self.engine.spec
        with watch.stage("align"):
            affines = crop_affines(faces["points"], spec.input.width)
            if len(self._crops) < len(faces):
                self._crops = np.empty((len(faces), *self._crops.shape[1:]), np.float32)
            crops = self._crops[: len(faces)]
            crops_into(bgr, affines, spec.input, crops)
        with watch.stage("face"):
            outputs = self.engine(crops)
        with watch.stage("decode_faces"):
            decode_into(outputs, spec, affines, faces, self.attributes)
