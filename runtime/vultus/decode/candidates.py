"""What the decoders of detectors share: the maps of a model, the candidates worth a look, and their records."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vultus.decode.nms import suppress
from vultus.errors import ModelError, SpecError
from vultus.geometry import apply_affine, invert_affine
from vultus.spec import AnchorLevel, DetectorSpec, ModelSpec
from vultus.types import FaceArray, empty_faces

__all__ = [
    "CANDIDATES_PER_FACE",
    "Shape",
    "best_first",
    "detector_of",
    "faces_of",
    "level_groups",
    "output_of",
    "sides_of",
]

CANDIDATES_PER_FACE = 8

LARGEST_LOG_SIDE = math.log(2**14)
"""A side of so many strides is larger than any picture, and its area is still far from overflowing."""

Array = npt.NDArray[np.float32]
Shape = tuple[int, ...]


def detector_of(spec: ModelSpec) -> DetectorSpec:
    """Return the detector part of a spec; raises SpecError when it is that of another network."""
    if spec.detector is None:
        raise SpecError(f"model {spec.name!r} is no detector; its task is {spec.task!r}")
    return spec.detector


def level_groups(detector: DetectorSpec, parts: Mapping[str, int]) -> list[tuple[AnchorLevel, ...]]:
    """Return the levels in groups of one stride, where a decoder reads several maps a stride in a fixed order.

    parts: what the maps of a stride hold, in their order, and the numbers a cell of each. Raises SpecError when
    the spec's levels are not whole groups, each of one stride.
    """
    levels, size = detector.levels, len(parts)
    groups = [levels[start : start + size] for start in range(0, len(levels), size)]
    if not groups or any(len(group) < size or len({level.stride for level in group}) > 1 for group in groups):
        listed = ", ".join(f"{level.output}/{level.stride}" for level in levels) or "none"
        raise SpecError(
            f"decoder {detector.decoder!r} reads {size} maps a stride in the order {', '.join(parts)}; "
            f"the spec's levels (output/stride) are: {listed}"
        )
    return groups


def output_of(
    outputs: Mapping[str, npt.NDArray[np.floating]],
    index: int,
    name: str,
    shape: tuple[int | str, ...],
    model: str,
) -> npt.NDArray[np.floating]:
    """Return one picture's values of an output; in `shape` a name stands for any number.

    Raises ModelError when the output is missing or misshapen or the batch holds no picture `index`.
    """
    if name not in outputs:
        raise ModelError(f"model {model!r} gave no output {name!r}; it gave {', '.join(outputs) or 'none'}")
    raw = outputs[name]
    fits = raw.ndim == len(shape) + 1 and -len(raw) <= index < len(raw)
    if not fits or any(isinstance(n, int) and n != got for n, got in zip(shape, raw.shape[1:], strict=True)):
        wanted = ", ".join(map(str, shape))
        raise ModelError(
            f"output {name!r} of model {model!r} has shape {raw.shape}; "
            f"expected (batch > {index}, {wanted}); export the model again"
        )
    picture: npt.NDArray[np.floating] = raw[index]
    return picture


def best_first(ranks: Array, detector: DetectorSpec) -> npt.NDArray[np.intp]:
    """Return the candidates that are worth suppressing, best first: a bound on the work of a bad picture."""
    order = np.argsort(-ranks, kind="stable")
    return order[: detector.max_faces * CANDIDATES_PER_FACE]


def sides_of(logs: Array, stride: int) -> Array:
    """Return the sides in input pixels of logarithms of sides in strides; wild ones do not overflow."""
    return np.exp(np.minimum(logs, np.float32(LARGEST_LOG_SIDE))) * np.float32(stride)


def faces_of(
    boxes: Array,
    points: Array,
    scores: npt.NDArray[np.floating],
    detector: DetectorSpec,
    affine: npt.ArrayLike,
) -> FaceArray:
    """Return the records in frame pixels of the candidates that survive suppression, best score first.

    boxes: (n, 4), points: (n, 5, 2), in input pixels. scores: (n,) in 0-1. affine: (2, 3) frame -> network input.
    """
    kept = suppress(boxes, scores, detector.nms_iou, detector.max_faces)
    inverse = invert_affine(affine)
    faces = empty_faces(len(kept))
    faces["box"] = apply_affine(inverse, boxes[kept].reshape(-1, 2, 2)).reshape(-1, 4)
    faces["points"] = apply_affine(inverse, points[kept])
    faces["score"] = scores[kept]
    return faces
