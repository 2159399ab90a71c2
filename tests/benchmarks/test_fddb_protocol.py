"""FDDB's protocol: cases worked by hand, and a brute-force form that pairs anew at every score of the set."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.fddb_figures import figures_of
from harness.fddb_protocol import Curve, Steps, Summed, steps_of


def steps(ratios: list[list[float]], scores: list[float], faces: int = 0) -> Steps:
    table = np.array(ratios, np.float64).reshape(len(scores), len(ratios[0]) if ratios else faces)
    return steps_of(table, np.array(scores, np.float64))


@pytest.mark.parametrize(
    ("ratios", "scores", "at", "discrete", "continuous", "false"),
    [
        ([[0.8]], [0.9], [0.9], [1], [0.8], [0]),
        ([[0.5]], [0.9], [0.9], [0], [0.5], [1]),  # half is not enough, and adds to the other curve
        ([[0.8], [0.7]], [0.9, 0.8], [0.9, 0.8], [1, 1], [0.8, 0.8], [0, 1]),  # one face, found twice
        ([[0.7], [0.8]], [0.9, 0.8], [0.9, 0.8], [1, 1], [0.7, 0.8], [0, 1]),  # the better one takes it later
        ([[0.8], [0.7]], [0.9, 0.9], [0.9], [1], [0.8], [1]),  # equal scores come together
        ([[0.3, 0.4]], [0.9], [0.9], [0], [0.4], [1]),  # between two faces
        ([[0.6, 0.55], [0.58, 0.0]], [0.9, 0.8], [0.9, 0.8], [1, 2], [0.6, 1.13], [0, 0]),  # gives way
        ([[0.6, 0.2], [0.5, 0.0]], [0.9, 0.8], [0.9, 0.8], [1, 0], [0.6, 0.7], [0, 2]),  # and may lose by it
        ([[0.0], [0.0]], [0.1, 0.2], [0.2, 0.1], [0, 0], [0, 0], [1, 2]),
        (
            [[0.9, 0, 0], [0, 0.8, 0], [0, 0, 0.7]],
            [-5, 0, 5],
            [5, 0, -5],
            [1, 2, 3],
            [0.7, 1.5, 2.4],
            [0] * 3,
        ),
    ],
)
def test_what_a_picture_comes_to(
    ratios: list[list[float]],
    scores: list[float],
    at: list[float],
    discrete: list[int],
    continuous: list[float],
    false: list[int],
) -> None:
    found = steps(ratios, scores)
    assert found.scores.tolist() == at
    assert found.discrete.tolist() == discrete
    assert found.continuous.tolist() == pytest.approx(continuous)
    assert found.false.tolist() == false


def test_without_faces_all_is_false_and_without_detections_there_is_nothing() -> None:
    alone = steps([[], []], [0.5, 0.25])
    assert (alone.discrete.tolist(), alone.false.tolist()) == ([0, 0], [1, 2])
    assert [len(part) for part in vars(steps([], [], faces=3)).values()] == [0, 0, 0, 0]


def test_pictures_are_summed_as_the_score_falls() -> None:
    parts = [steps([[0.9], [0.0]], [0.8, 0.4]), steps([], [], faces=2), steps([[0.6], [0.0]], [0.4, 0.6])]
    curve = Summed(parts).curve(np.ones(3), 4)
    # Nothing, then at .8 a face, at .6 a false one, at .4 a face and a false one.
    assert curve.discrete.tolist() == [0, 1, 1, 2]
    assert curve.false.tolist() == [0, 0, 1, 2]
    assert curve.continuous.tolist() == pytest.approx([0, 0.9, 0.9, 1.5])
    assert [curve.rate_at("discrete", false) for false in (0, 1, 2, 9)] == [0.25, 0.25, 0.5, 0.5]
    assert curve.rate_at("continuous", 9) == pytest.approx(1.5 / 4)
    twice = Summed(parts).curve(np.array([2.0, 0, 0]), 2)
    assert (twice.discrete[-1], twice.false[-1]) == (2, 2)


def test_a_curve_that_begins_with_many_false_ones_begins_at_nothing() -> None:
    curve = Summed([steps([[0.9], *[[0.0]] * 5], [1.0] * 6)]).curve(np.ones(1), 1)
    assert (curve.rate_at("discrete", 4), curve.rate_at("discrete", 5)) == (0, 1)


def test_no_picture_and_no_face_have_no_rate() -> None:
    assert math.isnan(Summed([]).curve(np.ones(0), 0).rate_at("discrete", 100))
    nothing = figures_of([steps([], [], faces=1)] * 2, [1, 1])
    assert (nothing["discrete_100"], nothing["continuous_2000"], nothing["false_positives"]) == (0, 0, 0)
    faceless = figures_of([steps([[]], [0.5])] * 2, [0, 0])
    assert (faceless["discrete_100"], faceless["n"], faceless["false_positives"]) == (None, 0, 2)
    assert faceless["ci95"]["discrete_100"] is None


@dataclass
class Case:
    """Pictures with ratios (n, m) of detections and faces, and scores (n,)."""

    ratios: list[np.ndarray]
    scores: list[np.ndarray]

    @property
    def faces(self) -> list[int]:
        return [one.shape[1] for one in self.ratios]


def made(seed: int) -> Case:
    random = np.random.default_rng(seed)
    case = Case([], [])
    for _ in range(random.integers(1, 6)):
        shape = random.integers(0, 6), random.integers(0, 4)
        case.ratios.append(random.random(shape) * (random.random(shape) < 0.6))
        case.scores.append(np.round(random.random(shape[0]), int(random.integers(1, 3))))
    return case


def curve_by_force(case: Case) -> list[tuple[float, float, int]]:
    """The protocol as one would tell it: for each score of the set, try all pairings in each picture."""
    points = [(0.0, 0.0, 0)]
    for least in sorted({float(score) for scores in case.scores for score in scores}, reverse=True):
        discrete = continuous = false = 0.0
        for ratios, scores in zip(case.ratios, case.scores, strict=True):
            kept = ratios[scores >= least]
            each = best_pairing(kept)
            discrete += sum(ratio > 0.5 for ratio in each)
            continuous += sum(each)
            false += len(kept) - sum(ratio > 0.5 for ratio in each)
        points.append((discrete, continuous, int(false)))
    return points


def best_pairing(ratios: np.ndarray) -> list[float]:
    """Return the ratios of the pairs, of all ways to give each face a detection or none, whose sum is greatest."""
    count, faces = ratios.shape
    padded = np.concatenate([ratios, np.zeros((faces, faces))])
    ways = itertools.permutations(range(count + faces), faces)
    return max(([float(padded[one, face]) for face, one in enumerate(way)] for way in ways), key=sum)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_curve_is_that_of_brute_force(seed: int) -> None:
    case = made(seed)
    parts = [steps_of(*pair) for pair in zip(case.ratios, case.scores, strict=True)]
    curve = Summed(parts).curve(np.ones(len(parts)), sum(case.faces))
    points = np.array(curve_by_force(case), np.float64)
    np.testing.assert_allclose(np.stack([curve.discrete, curve.continuous, curve.false], axis=1), points)


def test_the_figures_are_those_of_the_curve() -> None:
    random = np.random.default_rng(5)
    case = Case([], [])
    for _ in range(60):
        case.ratios.append(random.random((40, 2)) * (random.random((40, 2)) < 0.1))
        case.scores.append(np.round(random.random(40), 2))
    parts = [steps_of(*pair) for pair in zip(case.ratios, case.scores, strict=True)]
    figures = figures_of(parts, case.faces)
    points = [
        np.array(part)
        for part in zip(*curve_of_parts(parts), strict=True)
    ]  # fmt: skip
    curve = Curve(points[0], points[1], points[2], 120)
    for false in (100, 500, 1000, 2000):
        within = points[2] <= false
        assert figures[f"discrete_{false}"] == pytest.approx(points[0][within].max() / 120, abs=1e-5)
        assert figures[f"continuous_{false}"] == pytest.approx(curve.rate_at("continuous", false), abs=1e-5)
        low, high = figures["ci95"][f"discrete_{false}"]
        assert low <= figures[f"discrete_{false}"] <= high
    assert (figures["n"], figures["pictures"], figures["false_positives"]) == (120, 60, points[2][-1])


def curve_of_parts(parts: list[Steps]) -> list[tuple[float, float, float]]:
    """Sum the steps of pictures at each score, looking every one up."""
    points = [(0.0, 0.0, 0.0)]
    for least in sorted({float(score) for one in parts for score in one.scores}, reverse=True):
        counts = [(one, int((one.scores >= least).sum())) for one in parts]
        at = [(one, count - 1) for one, count in counts if count]
        points.append(
            (
                float(sum(one.discrete[place] for one, place in at)),
                float(sum(one.continuous[place] for one, place in at)),
                float(sum(one.false[place] for one, place in at)),
            )
        )
    return points
