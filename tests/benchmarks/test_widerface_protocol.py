"""WIDER FACE's protocol: cases worked by hand, and a brute-force form that takes one threshold after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.widerface_figures import figures_of
from harness.widerface_protocol import (
    THRESHOLDS,
    average_precision,
    counts_of,
    curve_of,
    normalised,
    overlaps,
)
from harness.widerface_truth import Truth

FACE = [10.0, 10, 19, 19]
"""Twenty pixels a side, as the protocol counts."""

FAR = [200.0, 200, 19, 19]


def rows(*boxes: list[float]) -> np.ndarray:
    return np.array(boxes, np.float64).reshape(-1, 4)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (FACE, 1.0),
        ([20.0, 10, 19, 19], 10 / 30),
        ([29.0, 10, 19, 19], 1 / 39),
        ([30.0, 10, 19, 19], 0.0),
        ([10.0, 10, 39, 19], 0.5),
        ([-500.0, -500, 9, 9], 0.0),
    ],
)
def test_a_side_counts_both_its_ends(box: list[float], expected: float) -> None:
    assert overlaps(rows(box), rows(FACE))[0, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("found", "kept", "at_all"),
    [
        ([FACE], [True, True], (1, 1)),
        ([FACE, FACE], [True, True], (2, 1)),  # a second box on a face is a false alarm
        ([FACE], [False, True], (0, 0)),  # on an ignored face a box counts neither way
        ([FACE, FACE, FAR], [False, True], (1, 1)),  # nor does any other box there
        ([[10.0, 10, 39, 19]], [True, True], (1, 1)),  # half is enough
        ([[10.0, 10, 40, 19]], [True, True], (1, 0)),
        ([[400.0, 400, 9, 9]], [True, True], (1, 0)),
        ([], [True, True], (0, 0)),
    ],
)
def test_what_counts(found: list[list[float]], kept: list[bool], at_all: tuple[int, int]) -> None:
    scores = np.linspace(1, 0, len(found))
    counts = counts_of(rows(*found), scores, rows(FACE, FAR), np.array(kept))
    assert (counts[0][-1], counts[1][-1]) == at_all


def test_a_box_looks_only_at_the_face_that_it_overlaps_most() -> None:
    near = [12.0, 10, 19, 19]
    # The box lies on the ignored face a little better, so the free face beside it is not found.
    counts = counts_of(rows([10.5, 10, 19, 19]), np.ones(1), rows(FACE, near), np.array([False, True]))
    assert (counts[0][-1], counts[1][-1]) == (0, 0)


def test_false_alarms_on_a_picture_without_faces_count_nowhere() -> None:
    counts = counts_of(rows(FACE), np.ones(1), rows(), np.zeros(0, np.bool_))
    assert not counts[0].any()
    assert not counts[1].any()


def test_scores_are_read_at_a_thousand_thresholds() -> None:
    counts = counts_of(rows(FACE, FAR), np.array([0.9995, 0.25]), rows(FACE, FAR), np.ones(2, np.bool_))
    assert len(THRESHOLDS) == 1000
    assert (THRESHOLDS[0], THRESHOLDS[-1]) == (0.999, 0.0)
    assert counts[1][0] == 1
    assert counts[1][THRESHOLDS > 0.25].max() == 1
    assert counts[1][THRESHOLDS <= 0.25].min() == 2


def test_scores_are_stretched_over_the_whole_set() -> None:
    stretched = normalised([np.array([0.4, 0.2]), np.empty(0), np.array([0.3])])
    assert [one.tolist() for one in stretched] == [pytest.approx([1.0, 0.0]), [], [pytest.approx(0.5)]]
    assert normalised([np.array([0.4]), np.array([0.4, 0.4])])[1].tolist() == [1.0, 1.0]
    assert [len(one) for one in normalised([np.empty(0)])] == [0]


def test_the_area_under_a_curve_by_hand() -> None:
    # A hit at .9, a false alarm at .5 and a hit at .2, of four faces: 1/4 at precision 1, then 1/4 at 2/3.
    truth = rows(FACE, FAR, [300.0, 0, 9, 9], [400.0, 0, 9, 9])
    found = rows(FACE, [600.0, 0, 9, 9], FAR)
    counts = counts_of(found, np.array([0.9, 0.5, 0.2]), truth, np.ones(4, np.bool_))
    curve = curve_of([counts], 4)
    assert average_precision(curve) == pytest.approx(0.25 + 0.25 * 2 / 3)
    assert curve.recall[-1] == 0.5
    assert math.isnan(average_precision(curve_of([], 0)))


@dataclass
class Case:
    """Pictures with true faces, which of them are kept, and what was found."""

    truth: list[np.ndarray]
    kept: list[np.ndarray]
    boxes: list[np.ndarray]
    scores: list[np.ndarray]


def made(seed: int) -> Case:
    random = np.random.default_rng(seed)
    case = Case([], [], [], [])
    for _ in range(random.integers(1, 5)):
        faces = random.integers(0, 6)
        truth = np.concatenate([random.uniform(0, 80, (faces, 2)), random.uniform(4, 30, (faces, 2))], axis=1)
        copies = truth[random.integers(0, faces, random.integers(0, 9))] if faces else truth
        near = copies + random.normal(0, 2, copies.shape)
        stray = np.concatenate([random.uniform(0, 80, (3, 2)), random.uniform(4, 30, (3, 2))], axis=1)
        boxes = np.concatenate([near, stray[: random.integers(0, 4)]])
        case.truth.append(truth)
        case.kept.append(random.random(faces) < 0.6)
        case.boxes.append(boxes)
        case.scores.append(np.round(random.random(len(boxes)), int(random.integers(1, 5))))
    return case


def by_force(case: Case) -> float:
    """The protocol as one would tell it: for each threshold, walk through each picture's boxes from the start."""
    every = [float(score) for scores in case.scores for score in scores]
    faces = sum(int(kept.sum()) for kept in case.kept)
    curve = []
    for step in range(1, 1001):
        hits = false = 0
        for truth, kept, boxes, scores in zip(case.truth, case.kept, case.boxes, case.scores, strict=True):
            taken = set()
            for place in np.argsort(-scores, kind="stable"):
                spread = max(every) - min(every)
                score = (scores[place] - min(every)) / spread if spread else 1.0
                if score < 1 - step / 1000 or not len(truth):
                    continue
                shares = [one_overlap(boxes[place], face) for face in truth]
                best = shares.index(max(shares))
                if shares[best] >= 0.5 and not kept[best]:
                    continue
                if shares[best] >= 0.5 and best not in taken:
                    taken.add(best)
                    hits += 1
                else:
                    false += 1
        curve.append((hits / faces if faces else math.nan, hits / (hits + false) if hits + false else 0.0))
    area, before = 0.0, 0.0
    for place, (recall, _) in enumerate(curve):
        if recall != before:
            area += (recall - before) * max(precision for _, precision in curve[place:])
            before = recall
    return area if faces else math.nan


def one_overlap(a: np.ndarray, b: np.ndarray) -> float:
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + 1
    tall = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + 1
    if wide <= 0 or tall <= 0:
        return 0.0
    return float(wide * tall / ((a[2] + 1) * (a[3] + 1) + (b[2] + 1) * (b[3] + 1) - wide * tall))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_figures_are_those_of_brute_force(seed: int) -> None:
    case = made(seed)
    counts = [
        counts_of(boxes, scores, truth, kept)
        for boxes, scores, truth, kept in zip(
            case.boxes, normalised(case.scores), case.truth, case.kept, strict=True
        )
    ]
    curve = curve_of(counts, sum(int(kept.sum()) for kept in case.kept))
    assert average_precision(curve) == pytest.approx(by_force(case), abs=1e-12, nan_ok=True)


def test_the_entry_of_a_difficulty_is_the_curve_of_all_pictures() -> None:
    case = made(12)
    pictures = [
        Truth("0--Event", f"{place}", truth, {"easy": kept, "hard": np.ones(len(truth), np.bool_)})
        for place, (truth, kept) in enumerate(zip(case.truth, case.kept, strict=True))
    ]
    figures = figures_of(pictures, list(zip(case.boxes, case.scores, strict=True)))
    assert list(figures) == ["easy", "hard"]
    assert figures["easy"]["ap"] == pytest.approx(by_force(case), abs=1e-5)
    assert figures["hard"]["n"] == sum(len(truth) for truth in case.truth)
    low, high = figures["hard"]["ci95"]["ap"]
    assert low <= figures["hard"]["ap"] <= high
