"""Greedy suppression against a plain restatement of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.decode.nms import BLOCK, suppress
from vultus.errors import InputError
from vultus.geometry import box_iou


def plain_suppress(boxes: np.ndarray, scores: np.ndarray, iou: float) -> list[int]:
    """Take the best that is left, strike what overlaps it, repeat."""
    left = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    kept: list[int] = []
    while left:
        best, *rest = left
        kept.append(best)
        left = [i for i in rest if box_iou(boxes[[best]], boxes[[i]])[0, 0] <= iou]
    return kept


@st.composite
def box_sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(0, 25))
    # whole numbers keep the overlaps of both computations equal or clearly apart
    corners = draw(st.lists(st.tuples(*[st.integers(0, 30)] * 2), min_size=count, max_size=count))
    sides = draw(st.lists(st.tuples(*[st.integers(1, 20)] * 2), min_size=count, max_size=count))
    scores = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    low = np.array(corners, np.float32).reshape(-1, 2)
    return np.concatenate([low, low + np.array(sides).reshape(-1, 2)], 1), np.array(scores, np.float32)


@given(box_sets(), st.sampled_from([0.0, 0.313, 0.517, 1.0]))
@settings(max_examples=150, deadline=None)
def test_equals_the_plain_definition(case: tuple[np.ndarray, np.ndarray], iou: float) -> None:
    boxes, scores = case
    assert suppress(boxes, scores, iou).tolist() == plain_suppress(boxes, scores, iou)


@pytest.mark.parametrize(
    ("boxes", "scores", "iou", "kept"),
    [
        (np.zeros((0, 4)), [], 0.4, []),
        ([[0, 0, 10, 10]], [0.3], 0.4, [0]),
        ([[0, 0, 10, 10], [0, 0, 10, 10]], [0.5, 0.5], 0.4, [0]),
        ([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], [0.5, 0.9, 0.1], 0.4, [1, 2]),
        ([[5, 5, 5, 5], [5, 5, 5, 5]], [0.5, 0.9], 0.4, [1, 0]),
    ],
    ids=["none", "one", "twins", "chain", "points"],
)
def test_cases(boxes: object, scores: list[float], iou: float, kept: list[int]) -> None:
    assert suppress(np.asarray(boxes, float), scores, iou).tolist() == kept


@pytest.mark.parametrize("count", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_blocks_leave_no_seam(count: int) -> None:
    rng = np.random.default_rng(count)
    low = rng.integers(0, 120, (count, 2))
    boxes = np.concatenate([low, low + rng.integers(5, 25, (count, 2))], 1).astype(np.float32)
    scores = rng.permutation(count).astype(np.float32)
    assert suppress(boxes, scores, 0.313).tolist() == plain_suppress(boxes, scores, 0.313)


def test_stops_after_the_most_that_are_wanted() -> None:
    boxes = np.array([[i * 20, 0, i * 20 + 10, 10] for i in range(50)], float)
    assert suppress(boxes, np.arange(50), 0.4, most=3).tolist() == [49, 48, 47]


@pytest.mark.parametrize(("boxes", "scores"), [((3, 4), (2,)), ((3, 5), (3,)), ((2, 4), (2, 1))])
def test_refuses_shapes_that_do_not_belong_together(boxes: tuple[int, ...], scores: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"boxes \(n, 4\) and scores \(n,\) are needed"):
        suppress(np.zeros(boxes), np.zeros(scores), 0.4)
