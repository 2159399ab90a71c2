"""The whole pipeline on a device against the same models on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from vultus.selftest.agreement import Disagreement, require_agreement
from vultus.selftest.pictures import collage, face_tile, nv12_from_bgr
from vultus.selftest.report import Check, checked
from vultus.types import Frame, Result

__all__ = ["Analyse", "compare_pictures", "pictures"]

Analyse = Callable[[Frame], Result]
"""A pipeline: from one frame to its faces."""


def pictures() -> dict[str, Frame]:
    """Return pictures of many sizes and all formats, with no face, one and many."""
    many = collage(1920, 1080, 32)
    return {
        "portrait": Frame(face_tile()),
        "no face": Frame(collage(640, 360, 0)),
        "one face, 720p": Frame(collage(1280, 720, 1)),
        "8 faces, 1080p, RGB": Frame(np.ascontiguousarray(collage(1920, 1080, 8)[..., ::-1]), "RGB"),
        "32 faces, 1080p": Frame(many),
        "32 faces, 1080p, NV12": nv12_from_bgr(many),
        "3 faces, odd sides, grey": Frame(_grey(collage(851, 477, 3)), "GRAY"),
        "70 faces": Frame(collage(1800, 1260, 70)),
    }


def _grey(bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(bgr[..., 1])


def compare_pictures(
    reference: Analyse, analyse: Analyse, frames: Mapping[str, Frame], slack: float = 1.0
) -> Iterator[Check]:
    """Yield one check for each picture; figures: faces, and the largest difference of each field."""
    for name, frame in frames.items():
        checks: list[Check] = []
        with checked(checks, "pipeline", name) as figures:
            expected, found = reference(frame).faces, analyse(frame).faces
            apart: Disagreement = require_agreement(expected, found, slack)
            figures.update(faces=apart.faces, **apart.fields)
        yield from checks
