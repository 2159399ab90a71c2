"""Which anchors answer for which face.

A face takes the anchors that overlap it most: those above an own threshold that falls until a few anchors pass, in
the spirit of ATSS (Zhang et al. 2020) and of the compensation for small faces in S3FD (Zhang et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vultus.decode.anchors import anchor_grid, encode_values
from vultus.spec import DetectorSpec
from vultus_models.detector.labels import Labels

__all__ = ["EMPTY", "FACE", "IGNORED", "Targets", "all_anchors", "targets_of"]

EMPTY, FACE, IGNORED = 0, 1, 2
WANTED = 6
LOWEST, HIGHEST = 0.2, 0.45
IGNORE_IOU, IGNORE_INSIDE = 0.2, 0.5

Array32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """What a picture teaches. state: (N,) of EMPTY, FACE or IGNORED, anchors level by level in map order.

    where: (k,) anchors that answer for a face. boxes: (k, 4) their faces in input pixels. values: (k, 14) encoded.
    """

    state: npt.NDArray[np.uint8]
    where: npt.NDArray[np.intp]
    boxes: Array32
    values: Array32


@lru_cache(maxsize=8)
def all_anchors(detector: DetectorSpec, height: int, width: int) -> Array32:
    """Return (N, 3), every anchor of an input of this size, level by level in the order of the maps."""
    grids = [
        anchor_grid(level, height // level.stride, width // level.stride).reshape(-1, 3)
        for level in detector.levels
    ]
    return np.concatenate(grids)


def targets_of(labels: Labels, detector: DetectorSpec, height: int, width: int) -> Targets:
    """Assign the anchors of an input of this size to the faces of a picture."""
    anchors = all_anchors(detector, height, width)
    state = np.zeros(len(anchors), np.uint8)
    state[_ignored(labels.boxes[~labels.sure], anchors)] = IGNORED
    faces = np.flatnonzero(labels.sure)
    where, whose = _assigned(labels.boxes[faces], anchors)
    state[where] = FACE
    chosen = faces[whose]
    values = encode_values(labels.boxes[chosen], labels.points[chosen], anchors[where], detector.variances)
    return Targets(state, where, labels.boxes[chosen].astype(np.float32), values)


def _assigned(
    boxes: npt.NDArray[np.float64], anchors: Array32
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the anchors that answer, and for which of the boxes."""
    if not len(boxes):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    inter, areas, squares = _meeting(boxes, anchors)
    iou = inter / (areas[:, None] + squares - inter)
    face, anchor = np.nonzero(iou >= LOWEST)
    unmet = np.setdiff1d(np.arange(len(boxes)), face)
    face, anchor = np.append(face, unmet), np.append(anchor, iou[unmet].argmax(axis=1))
    overlap = iou[face, anchor]
    by_face = np.lexsort((-overlap, face))
    face, anchor, overlap = face[by_face], anchor[by_face], overlap[by_face]
    first = np.searchsorted(face, np.arange(len(boxes)))
    last = np.append(first[1:], len(face)) - 1
    limit = np.minimum(overlap[np.minimum(first + WANTED - 1, last)], HIGHEST)
    passed = overlap >= limit[face]
    return _undisputed(face[passed], anchor[passed], overlap[passed])


def _undisputed(
    face: npt.NDArray[np.intp], anchor: npt.NDArray[np.intp], overlap: Array32
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Leave every anchor to the face that it overlaps most; return anchors and faces."""
    order = np.lexsort((-overlap, anchor))
    where, first = np.unique(anchor[order], return_index=True)
    return where, face[order][first]


def _ignored(boxes: npt.NDArray[np.float64], anchors: Array32) -> npt.NDArray[np.intp]:
    """Return the anchors that a region to ignore silences: like it in size and place, or within it."""
    if not len(boxes):
        return np.zeros(0, np.intp)
    inter, areas, squares = _meeting(boxes, anchors)
    silenced = (inter > IGNORE_INSIDE * squares) | (inter > IGNORE_IOU * (areas[:, None] + squares - inter))
    return np.flatnonzero(silenced.any(axis=0))


def _meeting(boxes: npt.NDArray[np.float64], anchors: Array32) -> tuple[Array32, Array32, Array32]:
    """Return the intersections (n, N) of boxes and anchors, the areas (n,) and (N,)."""
    b = boxes.astype(np.float32)[:, :, None]
    half = anchors[:, 2] / 2
    wide = np.minimum(b[:, 2], anchors[:, 0] + half) - np.maximum(b[:, 0], anchors[:, 0] - half)
    tall = np.minimum(b[:, 3], anchors[:, 1] + half) - np.maximum(b[:, 1], anchors[:, 1] - half)
    inter = np.maximum(wide, 0) * np.maximum(tall, 0)
    areas = np.maximum((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]), 1e-6)[:, 0]
    return inter, areas, anchors[:, 2] ** 2
