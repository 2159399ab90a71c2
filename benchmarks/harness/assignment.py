"""One-to-one pairs of greatest total worth, by shortest augmenting paths (Kuhn 1955; Jonker and Volgenant 1987)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["growing_pairs"]

Places = npt.NDArray[np.intp]
Array = npt.NDArray[np.float64]


def growing_pairs(worth: npt.NDArray[np.floating]) -> Iterator[Places]:
    """Yield, after each row of worth (n, m), the best pairs of the rows up to it: (1,), (2,), ... (n,) columns or -1.

    -1 stands for a row without a pair. No column is in two pairs, and a pair of negative worth is never made.
    A new row costs one search for a path, so all answers together are as dear as the last: O(n^2 (m + n)) at worst.
    """
    rows, columns = worth.shape
    solver = _Solver(rows, columns)
    for row in range(rows):
        # Beyond the columns stands one "no pair" for each row, worth nothing.
        solver.add(np.concatenate([-np.asarray(worth[row], np.float64), np.zeros(rows)]))
        column = np.array(solver.column_of, np.intp)
        yield np.where(column < columns, column, -1)


class _Solver:
    """Pairs of least cost that grow row by row, with the prices that prove them best.

    Of costs less both prices none is negative, and those of pairs are 0.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.costs: list[Array] = []
        self.row_price: list[float] = []
        self.column_price = np.zeros(columns + rows)
        self.column_of: list[int] = []
        self.row_of: Places = np.full(columns + rows, -1, np.intp)

    def add(self, costs: Array) -> None:
        """Pair one more row of costs (columns + rows,), re-pairing earlier ones where that is cheaper."""
        self.costs.append(costs)
        self.row_price.append(0.0)
        self.column_of.append(-1)
        last, came, far, reached = self._search(len(self.costs) - 1)
        self._reprice(reached, far, far[last])
        self._turn_over(last, came)

    def _search(self, row: int) -> tuple[int, Places, Array, Places]:
        """Walk from a new row to the nearest free column (Dijkstra 1959).

        Return that column, the row from which each was come to, how far each is, and the paired ones passed.
        """
        before = 0.0
        far, came = np.full(len(self.row_of), np.inf), np.full(len(self.row_of), -1, np.intp)
        open_ = np.ones(len(self.row_of), np.bool_)
        while True:
            way = before + self.costs[row] - self.row_price[row] - self.column_price
            shorter = open_ & (way < far)
            far[shorter], came[shorter] = way[shorter], row
            at = int(np.where(open_, far, np.inf).argmin())
            if self.row_of[at] < 0:
                return at, came, far, np.flatnonzero(~open_)
            open_[at], before, row = False, far[at], int(self.row_of[at])

    def _reprice(self, reached: Places, far: Array, length: float) -> None:
        """Move the prices so that the path found costs nothing."""
        self.row_price[-1] += length
        for column in reached:
            self.row_price[self.row_of[column]] += length - far[column]
        self.column_price[reached] += far[reached] - length

    def _turn_over(self, column: int, came: Places) -> None:
        """Pair along the path from its end back to the new row."""
        while column >= 0:
            row = int(came[column])
            self.row_of[column] = row
            self.column_of[row], column = column, self.column_of[row]
