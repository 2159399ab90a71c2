"""Raw outputs of a face network to the fields of FACE records.

Angles: yaw is positive when the face turns to the picture's right, pitch when it looks up, roll when the head
tilts clockwise on the screen. Roll is the outermost of the three rotations, so a crop that was turned by some
angle shows a roll that is larger by that angle, while yaw and pitch stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
import numpy.typing as npt

from vultus.errors import ModelError, SpecError
from vultus.geometry import apply_affine, five_points, invert_affine, rotation_of
from vultus.spec import Head, ModelSpec
from vultus.types import LABELS, FaceArray

__all__ = ["check_heads", "decode_into", "group_age", "output_width", "softmax"]

Array = npt.NDArray[np.float64]

FIELD_LABELS = LABELS | {"eyeglasses": ("eyeglasses",), "quality": ("quality",)}
"""The labels of the fields that hold one probability a label, in the order of the record."""

LANDMARKS = 68
DEGREES = 90.0
"""What one unit of a pose output is worth."""


def decode_into(
    outputs: Mapping[str, npt.NDArray[np.floating]],
    spec: ModelSpec,
    affines: npt.ArrayLike,
    faces: FaceArray,
    attributes: Collection[str],
) -> None:
    """Write the attributes asked for into FACE records; every other field stays as it is.

    Landmarks bring the five points with them: what 68 landmarks say of them takes the place of the detector's.

    outputs: (k, width) a head, raw as the network gives them. affines: (k, 2, 3) frame -> crop. faces: (k,) of
    dtype FACE, changed in place. A face whose output of a head is not finite gets NaN there: not measured.
    Heads must have passed `check_heads`. Raises ModelError when an output is missing or misshapen.
    """
    matrices = np.asarray(affines, np.float64).reshape(-1, 2, 3)
    if len(matrices) != len(faces):
        raise ModelError(f"{len(faces)} faces came with {len(matrices)} affines; expected one for each")
    for head in spec.heads:
        if head.field in attributes:
            values = _values(outputs, head, spec, len(faces))
            with np.errstate(invalid="ignore"):
                _DECODERS[head.kind](values, head, spec, matrices, faces)


def output_width(head: Head) -> int:
    """Return how many numbers a face the output of a head holds."""
    widths = {"landmarks": 2 * head.count, "euler": 3, "percent": 1, "group_age": head.count + head.group - 1}
    return widths.get(head.kind, len(head.labels))


def check_heads(spec: ModelSpec) -> None:
    """Raise SpecError when a head does not fit the field of the record that it names."""
    for head in spec.heads:
        _check(head, spec)


def _check(head: Head, spec: ModelSpec) -> None:
    problem = ""
    known = FIELD_LABELS.get(head.field, ()) if head.kind in ("softmax", "sigmoid") else ()
    labels = head.labels
    if head.field not in _FIELDS[head.kind]:
        fields = ", ".join(_FIELDS[head.kind])
        problem = f"of kind {head.kind!r} writes the field {head.field!r}; expected one of: {fields}"
    elif known and (not labels or set(labels) - set(known) or len(set(labels)) < len(labels)):
        shown = ", ".join(labels) or "none"
        problem = f"has the labels {shown}; expected each at most once out of: {', '.join(known)}"
    elif head.kind == "landmarks" and head.count != LANDMARKS:
        problem = f"has {head.count} landmarks; a record holds {LANDMARKS}"
    elif head.kind == "group_age" and min(head.count, head.group) < 1:
        problem = f"has {head.count} ages in groups of {head.group}; expected at least one of each"
    if problem:
        raise SpecError(f"head {head.output!r} {problem}")


def _values(
    outputs: Mapping[str, npt.NDArray[np.floating]], head: Head, spec: ModelSpec, faces: int
) -> Array:
    """Return the output of a head as float64 (faces, width), rows that are not finite as NaN."""
    if head.output not in outputs:
        raise ModelError(
            f"model {spec.name!r} gave no output {head.output!r}; it gave {', '.join(outputs) or 'none'}"
        )
    raw, width = outputs[head.output], output_width(head)
    if raw.shape != (faces, width):
        raise ModelError(
            f"output {head.output!r} of model {spec.name!r} has shape {raw.shape}; "
            f"expected ({faces}, {width}); export the model again"
        )
    values = raw.astype(np.float64)
    values[~np.isfinite(values).all(axis=1)] = np.nan
    return values


def softmax(logits: Array) -> Array:
    """Return the probabilities (k, n) of logits (k, n)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _sigmoid(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))))


def group_age(logits: Array, first: int, count: int, group: int) -> tuple[Array, Array]:
    """Return ages and their standard deviations (k,) in years of Group-n logits (k, count + group - 1).

    Age a is held by the groups a ... a + group - 1 (AGEn, Tan et al. 2017). Its evidence is their mean logit;
    a softmax over the ages makes it a distribution. The age is the mean within `group` years of the most
    likely one, so a second, far peak does not draw it; the spread is that of the whole distribution about it.
    """
    windows = np.lib.stride_tricks.sliding_window_view(logits, group, axis=1)
    share = softmax(windows.mean(axis=2))
    years = np.arange(count, dtype=np.float64)
    peak = share.argmax(axis=1)
    local = share * (np.abs(years - peak[:, None]) <= group)
    age = local @ years / local.sum(axis=1)
    spread = np.sqrt((share * (years - age[:, None]) ** 2).sum(axis=1))
    return age + first, spread


def _write_labels(probabilities: Array, head: Head, faces: FaceArray) -> None:
    known = FIELD_LABELS[head.field]
    places = [known.index(label) for label in head.labels]
    field = faces[head.field].reshape(len(faces), len(FIELD_LABELS[head.field]))
    field[:, places] = probabilities
    faces[head.field] = field.reshape(faces[head.field].shape)


def _softmax(values: Array, head: Head, spec: ModelSpec, affines: Array, faces: FaceArray) -> None:
    _write_labels(softmax(values), head, faces)


def _sigmoids(values: Array, head: Head, spec: ModelSpec, affines: Array, faces: FaceArray) -> None:
    _write_labels(_sigmoid(values), head, faces)


def _age(values: Array, head: Head, spec: ModelSpec, affines: Array, faces: FaceArray) -> None:
    faces["age"], faces["age_spread"] = group_age(values, head.first, head.count, head.group)


def _landmarks(values: Array, head: Head, spec: ModelSpec, affines: Array, faces: FaceArray) -> None:
    sides = np.array([spec.input.width, spec.input.height], np.float64)
    pixels = (values.reshape(-1, LANDMARKS, 2) + 0.5) * sides - 0.5
    marks = apply_affine(invert_affine(affines), pixels)
    faces["landmarks"] = marks
    points = five_points(marks)  # nearer to the truth than those of the detector, which sees a face small
    faces["points"] = np.where(np.isfinite(points), points, faces["points"])


def _euler(values: Array, head: Head, spec: ModelSpec, affines: Array, faces: FaceArray) -> None:
    pose = values * DEGREES
    pose[:, 2] -= rotation_of(affines)
    pose[:, 2] = (pose[:, 2] + 180) % 360 - 180
    faces["pose"] = pose


def _percent(values: Array, head: Head, spec: ModelSpec, affines: Array, faces: FaceArray) -> None:
    faces[head.field] = 100 * _sigmoid(values[:, 0])


_Decoder = Callable[[Array, Head, ModelSpec, Array, FaceArray], None]

_DECODERS: dict[str, _Decoder] = {
    "softmax": _softmax,
    "sigmoid": _sigmoids,
    "group_age": _age,
    "landmarks": _landmarks,
    "euler": _euler,
    "percent": _percent,
}

_FIELDS: dict[str, tuple[str, ...]] = {
    "softmax": ("gender", "ethnicity", "expression"),
    "sigmoid": ("eyeglasses", "facial_hair", "quality"),
    "group_age": ("age",),
    "landmarks": ("landmarks",),
    "euler": ("pose",),
    "percent": ("smile", "attractiveness"),
}
