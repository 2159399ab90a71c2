"""Records in another label set: probabilities of the FACE record summed over groups of its labels.

    from vultus.mappings import SEEEN, mapped

    for face in mapped(result.faces, SEEEN):
        print(face["expression"])   # {"Angry": 0.02, "Happy": 0.91, ...}

A record never changes: a mapping reads it. Since the labels of a field exclude each other, the probability of a group
is the sum of its members', and those of all groups sum to 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.errors import InputError
from vultus.types import LABELS, FaceArray

__all__ = ["MAPPED_FIELDS", "SEEEN", "LabelMap", "mapped", "most_likely", "probabilities"]

MAPPED_FIELDS = ("gender", "ethnicity", "expression")
"""Fields whose labels exclude each other, so that probabilities of groups are sums."""


@dataclass(frozen=True)
class LabelMap:
    """Another label set for one field of the record.

    field: one of MAPPED_FIELDS. groups: each new label with the record's labels that it stands for; every label of the
    record belongs to exactly one group. Raises InputError otherwise.
    """

    field: str
    groups: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        """Refuse a label set through which probability would be lost or counted twice."""
        if self.field not in MAPPED_FIELDS:
            raise InputError(
                f"field {self.field!r} cannot be mapped; expected one of {', '.join(MAPPED_FIELDS)}"
            )
        given = [label for members in self.groups.values() for label in members]
        known = LABELS[self.field]
        problems = {
            "unknown": [label for label in given if label not in known],
            "in several groups": sorted({label for label in given if given.count(label) > 1}),
            "in no group": [label for label in known if label not in given],
        }
        listed = "; ".join(f"{', '.join(labels)} {what}" for what, labels in problems.items() if labels)
        if listed:
            raise InputError(
                f"the label set for {self.field!r} is not usable: {listed}; expected each of "
                f"{', '.join(known)} in one group"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The new labels, in order."""
        return tuple(self.groups)


SEEEN = (
    LabelMap(
        "ethnicity",
        {
            "White": ("white",),
            "Black": ("black",),
            "Asian": ("asian",),
            "Indian": ("indian",),
            "Hispanic": ("other",),
        },
    ),
    LabelMap(
        "expression",
        {
            "Angry": ("angry",),
            "Happy": ("happy",),
            "Neutral": ("neutral",),
            "Sad": ("sad",),
            "Surprised": ("surprise",),
            "Other": ("disgust", "fear"),
        },
    ),
)
"""Five ethnicities and six emotions, as SEEEN's face attributes name them.

The record has no Hispanic: the faces that were labelled so, Middle Eastern ones and all others make its `other`, so
Hispanic here means no more than none of the four.
"""


def probabilities(faces: FaceArray, to: LabelMap) -> npt.NDArray[np.float32]:
    """Return the probability of each new label (n, labels) of FACE records (n,); NaN where none was measured."""
    known = LABELS[to.field]
    member = np.array([[label in members for members in to.groups.values()] for label in known], np.float64)
    return (faces[to.field].astype(np.float64).reshape(-1, len(known)) @ member).astype(np.float32)


def most_likely(faces: FaceArray, to: LabelMap) -> list[str | None]:
    """Return the most likely new label of each record, None where the field was not measured."""
    shares = probabilities(faces, to)
    return [None if np.isnan(row).any() else to.labels[int(row.argmax())] for row in shares]


def mapped(faces: FaceArray, maps: Iterable[LabelMap]) -> list[dict[str, dict[str, float] | None]]:
    """Return for each record the probabilities by field and new label, ready for JSON; None for an unmeasured field.

    A field that several maps name appears as the last of them says.
    """
    found: list[dict[str, dict[str, float] | None]] = [{} for _ in range(len(faces))]
    for to in maps:
        for entry, shares in zip(found, probabilities(faces, to).tolist(), strict=True):
            entry[to.field] = None if np.isnan(shares).any() else dict(zip(to.labels, shares, strict=True))
    return found
