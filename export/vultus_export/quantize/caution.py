"""When the pictures are too few for a lowering to be trusted, and how that is said."""

from __future__ import annotations

from vultus.words import counted

__all__ = ["ENOUGH_FACES", "ENOUGH_PICTURES", "cautions_about"]

ENOUGH_PICTURES = 64
"""Fewer pictures than these rarely hold the largest values of later use, so that those are cut off."""

ENOUGH_FACES = 16
"""Faces that enough pictures of one person each hold out; on fewer a mean is mostly chance."""


def cautions_about(faces: int, pictures: int | None = None, same: bool = False) -> tuple[str, ...]:
    """Return why a lowering says little about other pictures, one sentence each; nothing when it can be trusted.

    faces: those that the loss was measured on. pictures: those that ranges were read from or measured on, None where no
    ranges were needed. same: whether the loss was measured on the very pictures that gave the ranges.
    """
    found = []
    if pictures is not None and pictures < ENOUGH_PICTURES:
        found.append(
            f"calibrated on {_count(pictures, 'picture')}: values that they do not hold are cut off in use; give "
            f"{ENOUGH_PICTURES} or more, as varied as those of use"
        )
    if same:
        found.append(
            "too few pictures to hold some out: the loss is of those that gave the ranges, and so flatters"
        )
    if faces < ENOUGH_FACES:
        found.append(
            f"the loss was measured on {_count(faces, 'face')}: it is mostly chance below {ENOUGH_FACES}; give more "
            "pictures of people"
        )
    return tuple(found)


def _count(number: int, noun: str) -> str:
    return f"{counted(number, noun)} alone"
