"""Contact sheets: many small pictures with words beneath, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from harness.worst_tasks import Mistake
from vultus.geometry import apply_affine

__all__ = ["COLUMNS", "TILE", "contact_sheet", "tile_of"]

Pixels = npt.NDArray[np.uint8]

TILE = 240
COLUMNS = 5
LINE, MARGIN, GREY = 20, 6, 96
TRUE, GUESSED, INK = (80, 220, 80), (60, 60, 255), (20, 20, 20)


def tile_of(picture: Pixels, mistake: Mistake) -> Pixels:
    """Return the part of a picture that an error is about, TILE wide, with label (green) and guess (red) drawn."""
    x1, y1, x2, _ = mistake.region
    scale = TILE / (x2 - x1)
    affine = np.array([[scale, 0, -x1 * scale - 0.5], [0, scale, -y1 * scale - 0.5]])
    flags = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    drawn = cv2.warpAffine(picture, affine, (TILE, TILE), flags=flags, borderValue=(GREY, GREY, GREY))
    for shapes, colour in ((mistake.true, TRUE), (mistake.guessed, GUESSED)):
        for shape in shapes:
            corners = np.rint(apply_affine(affine, shape.reshape(-1, 2))).astype(int).tolist()
            if len(corners) == 2:
                cv2.rectangle(drawn, corners[0], corners[1], colour, 1, cv2.LINE_AA)
            else:
                cv2.circle(drawn, corners[0], 2, colour, -1, cv2.LINE_AA)
    return np.asarray(drawn, np.uint8)


def contact_sheet(title: str, tiles: Sequence[tuple[Pixels, Sequence[str]]]) -> Pixels:
    """Return one BGR picture of all tiles, COLUMNS across, with their lines beneath and a title on top.

    tiles: each (TILE, TILE, 3) BGR with its lines of text. Raises ValueError without any.
    """
    if not tiles:
        raise ValueError("a contact sheet needs a picture at least; none was given")
    lines = max(len(words) for _, words in tiles)
    high, wide = TILE + lines * LINE + 2 * MARGIN, TILE + 2 * MARGIN
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.full((2 * LINE + rows * high, COLUMNS * wide, 3), 255, np.uint8)
    _write(sheet, title, MARGIN, LINE)
    for place, (tile, words) in enumerate(tiles):
        left, top = place % COLUMNS * wide + MARGIN, 2 * LINE + place // COLUMNS * high
        sheet[top : top + TILE, left : left + TILE] = tile
        for number, line in enumerate(words, 1):
            _write(sheet, line, left, top + TILE + number * LINE - MARGIN)
    return sheet


def _write(sheet: Pixels, text: str, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
