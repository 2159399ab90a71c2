"""Five classes of yaw and the fitting of their edges."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus_export.metrics.pose import YAW_EDGES, fit_edges, yaw_classes

EDGES = (-40.0, -15.0, 15.0, 40.0)


def test_classes_run_from_left_to_right() -> None:
    assert yaw_classes([-90, -41, -40, -16, 0, 14.9, 15, 39, 40, 90], EDGES).tolist() == [
        1, 1, 2, 2, 3, 3, 4, 4, 5, 5,
    ]  # fmt: skip
    assert list(YAW_EDGES) == sorted(YAW_EDGES)
    assert yaw_classes([-90.0, 0.0, 90.0]).tolist() == [1, 3, 5]


def test_edges_are_recovered_from_faces_that_they_part() -> None:
    yaw = np.random.default_rng(1).uniform(-80, 80, 4000)
    assert fit_edges(yaw, yaw_classes(yaw, EDGES)) == pytest.approx(EDGES, abs=0.5)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 5)), min_size=2, max_size=12), st.booleans())
def test_no_other_edges_get_more_faces_right(faces: list[tuple[int, int]], balanced: bool) -> None:
    yaw, label = np.array([y for y, _ in faces]), np.array([c for _, c in faces])
    share = 1 / np.bincount(label, minlength=6)[label] if balanced else np.ones(len(label))

    def right(edges: npt.ArrayLike) -> float:
        return float(share[yaw_classes(yaw, edges) == label].sum())

    edges = fit_edges(yaw, label, balanced)
    assert list(edges) == sorted(edges)
    best = max(right(four) for four in combinations_with_replacement(np.arange(-3.5, 4), 4))
    assert right(edges) == pytest.approx(best)
