"""Pictures shrunk by plain means over areas, many at once, from one table of sums.

Output pixel i of n covers the source pixels from floor(i * size / n) up to, not including, ceil((i + 1) * size / n):
each counts whole, so neighbours may share one. Cascades were trained on pictures shrunk like that. With the table of
sums (Crow 1984) a level of a pyramid or a crop costs four reads a pixel, however large the area.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vultus.spec import InputSpec

__all__ = ["Areas"]

Index = npt.NDArray[np.intp]
Tensor = npt.NDArray[np.float32]


class Areas:
    """One BGR picture (H, W, 3) uint8, ready to be shrunk as a network's input wants it."""

    def __init__(self, bgr: npt.NDArray[np.uint8], spec: InputSpec) -> None:
        self.height, self.width = bgr.shape[:2]
        # Sums of more than 2^31 wrap around, and so do their differences: back to the right value.
        self._sums = np.asarray(cv2.integral(bgr, sdepth=cv2.CV_32S), np.int32)
        self._planes = (2, 1, 0) if spec.channels == "RGB" else (0, 1, 2)
        self._mean, self._scale = (
            np.array(values, np.float32).reshape(3, 1, 1) for values in (spec.mean, spec.scale)
        )

    def level(self, width: int, height: int) -> Tensor:
        """Return the whole picture as a (1, 3, height, width) input."""
        left, right = (edge[0] for edge in _edges(np.array([0]), np.array([self.width]), width))
        top, bottom = (edge[0] for edge in _edges(np.array([0]), np.array([self.height]), height))
        # Rows before columns: whole rows are copied, several times faster than corner by corner.
        rows = self._sums.take(bottom, 0)
        rows -= self._sums.take(top, 0)
        sums = rows.take(right, 1)
        sums -= rows.take(left, 1)
        return self._means(sums[None], (bottom - top)[None, :, None] * (right - left)[None, None])

    def crops(self, boxes: npt.NDArray[np.integer], width: int, height: int) -> Tensor:
        """Return the (k, 3, height, width) inputs of boxes (k, 4): first column and row, and those past the last.

        Every box lies in the picture and holds at least one pixel.
        """
        left, right = _edges(boxes[:, 0], boxes[:, 2], width)
        top, bottom = _edges(boxes[:, 1], boxes[:, 3], height)
        sums = self._corner(bottom, right) - self._corner(top, right)
        sums -= self._corner(bottom, left) - self._corner(top, left)
        return self._means(sums, (bottom - top)[:, :, None] * (right - left)[:, None, :])

    def _means(self, sums: npt.NDArray[np.int32], counts: Index) -> Tensor:
        """Return inputs (k, 3, height, width) of sums (k, height, width, 3) over counts (k, height, width)."""
        out = np.empty((len(sums), 3, *sums.shape[1:3]), np.float32)
        parts = counts.astype(np.float32)
        for place, plane in enumerate(self._planes):
            np.divide(sums[..., plane], parts, out=out[:, place])
        out -= self._mean
        out *= self._scale
        return out

    def _corner(self, rows: Index, columns: Index) -> npt.NDArray[np.int32]:
        """Return the sums (k, height, width, 3) up to rows (k, height) and columns (k, width)."""
        found: npt.NDArray[np.int32] = self._sums[rows[:, :, None], columns[:, None, :]]
        return found


def _edges(first: npt.NDArray[np.integer], past: npt.NDArray[np.integer], count: int) -> tuple[Index, Index]:
    """Return where each of `count` areas of k spans begins and ends: (k, count) each."""
    size = (past - first).astype(np.intp)[:, None]
    step = np.arange(count, dtype=np.intp)
    start = first[:, None] + step * size // count
    stop = first[:, None] - (-(step + 1) * size // count)
    return start, stop
