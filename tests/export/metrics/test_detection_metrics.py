"""Matching, average precision and recall against hand-made cases and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus_export.metrics.detection import (
    Matched,
    average_precision,
    match_boxes,
    recall_at,
    score_for_alarms,
)

UNIT = [0.0, 0.0, 10.0, 10.0]
RIGHT = [20.0, 0.0, 30.0, 10.0]
SHIFTED = [2.5, 0.0, 12.5, 10.0]  # IoU 7.5 / 12.5 = .6 with UNIT


@pytest.mark.parametrize(
    ("boxes", "scores", "truth", "iou", "hits", "taken"),
    [
        ([UNIT], [0.9], [UNIT], 0.5, [True], [0.9]),
        ([SHIFTED], [0.9], [UNIT], 0.6, [True], [0.9]),
        ([SHIFTED], [0.9], [UNIT], 0.61, [False], [-np.inf]),
        ([UNIT, UNIT], [0.4, 0.8], [UNIT], 0.5, [False, True], [0.8]),
        ([SHIFTED, UNIT], [0.9, 0.8], [UNIT, SHIFTED], 0.5, [True, True], [0.8, 0.9]),
        ([], [], [UNIT, RIGHT], 0.5, [], [-np.inf, -np.inf]),
        ([UNIT], [0.9], [], 0.5, [False], []),
        ([], [], [], 0.5, [], []),
    ],
    ids=["equal", "on the limit", "below", "one truth once", "each its own", "blind", "no truth", "nothing"],
)
def test_greedy_matching(
    boxes: list[list[float]],
    scores: list[float],
    truth: list[list[float]],
    iou: float,
    hits: list[bool],
    taken: list[float],
) -> None:
    matched = match_boxes(boxes, scores, truth, iou)
    assert matched.hits.tolist() == hits
    assert matched.taken.tolist() == taken


def picture(scores: list[float], hits: list[bool], missed: int = 0) -> Matched:
    taken = [score for score, hit in zip(scores, hits, strict=True) if hit] + [-np.inf] * missed
    return Matched(np.array(scores, np.float64), np.array(hits, np.bool_), np.array(taken, np.float64))


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        ([picture([0.9, 0.8], [True, True])], 1.0),
        ([picture([0.9], [False], missed=1)], 0.0),
        ([picture([], [], missed=3)], 0.0),
        ([picture([0.9, 0.8, 0.7], [True, False, True])], 0.5 * 1 + 0.5 * 2 / 3),
        ([picture([0.9, 0.8], [False, True])], 0.5),
        ([picture([0.9], [True]), picture([0.8, 0.7], [False, True], missed=2)], 0.25 + 0.25 * 2 / 3),
        ([picture([0.5, 0.5], [True, False])], 0.5),
    ],
    ids=["perfect", "only wrong", "blind", "one between", "wrong first", "two pictures", "tied"],
)
def test_average_precision_by_hand(pictures: list[Matched], expected: float) -> None:
    assert average_precision(pictures) == pytest.approx(expected)


def test_average_precision_without_truth_is_undefined() -> None:
    assert np.isnan(average_precision([]))
    assert np.isnan(average_precision([picture([0.5], [False])]))
    assert np.isnan(recall_at([picture([0.5], [False])], 0.1))


def brute_force(pictures: list[Matched]) -> float:
    """Average over the k-th found truth the best precision of any score limit that finds k or more."""
    scores = np.concatenate([one.scores for one in pictures])
    hits = np.concatenate([one.hits for one in pictures])
    truths = sum(len(one.taken) for one in pictures)
    limits = [(hits[scores >= limit].sum(), (scores >= limit).sum()) for limit in set(scores.tolist())]
    best = [
        max([right / all_ for right, all_ in limits if right >= k], default=0.0) for k in range(1, truths + 1)
    ]
    return sum(best) / truths


SCORED = st.lists(st.tuples(st.integers(0, 6).map(lambda n: n / 6), st.booleans()), max_size=12)


@given(st.lists(st.tuples(SCORED, st.integers(0, 3)), min_size=1, max_size=4))
def test_average_precision_equals_brute_force(parts: list[tuple[list[tuple[float, bool]], int]]) -> None:
    pictures = [picture([s for s, _ in found], [h for _, h in found], missed) for found, missed in parts]
    if not sum(len(one.taken) for one in pictures):
        return
    assert average_precision(pictures) == pytest.approx(brute_force(pictures))
    assert average_precision(pictures[::-1]) == pytest.approx(average_precision(pictures))


@given(SCORED, st.integers(0, 3), st.floats(0, 1) | st.just(-np.inf))
def test_recall_counts_truths_taken_at_a_score(
    found: list[tuple[float, bool]], missed: int, limit: float
) -> None:
    one = picture([s for s, _ in found], [h for _, h in found], missed + 1)
    expected = sum(hit and score >= limit for score, hit in found) / len(one.taken)
    assert recall_at([one], limit) == pytest.approx(expected)


@given(st.lists(st.integers(0, 9).map(lambda n: n / 10), max_size=20), st.integers(0, 12))
def test_score_for_alarms_leaves_as_many_as_allowed_and_is_the_lowest(
    scores: list[float], alarms: int
) -> None:
    limit = score_for_alarms(scores, alarms)
    left = [score for score in scores if score >= limit]
    assert len(left) <= alarms or len(scores) <= alarms
    lower = [score for score in scores if score < limit]
    if lower:
        assert sum(score >= max(lower) for score in scores) > alarms
