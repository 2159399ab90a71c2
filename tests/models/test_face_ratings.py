"""Losses for attractiveness and the ridge regression: right values, right minima, evidence that is at its top."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vultus_models.face.crnet import BEND, CLASS_HEAD, CLASSES, RATINGS, extra_outputs, rating_loss
from vultus_models.face.network import network
from vultus_models.face.regression import bayesian_ridge, log_evidence

TINY: dict[str, Any] = {"stages": [[8, 1], [8, 1], [8, 1], [8, 1], [16, 1]], "embedding": 16, "turn": 8}
EVERY = torch.ones(4, dtype=torch.bool)
RATED = torch.tensor([0.1, 0.4, 0.55, 0.9])


def outputs(logits: Tensor) -> dict[str, Tensor]:
    return {
        "attractiveness": logits[:, None],
        CLASS_HEAD: torch.zeros(len(logits), CLASSES, requires_grad=True),
    }


@pytest.mark.parametrize("name", RATINGS)
def test_every_loss_is_least_at_the_rating(name: str) -> None:
    exact = RATED.logit()
    at = RATINGS[name](outputs(exact), EVERY, RATED)
    for moved in (exact - 0.2, exact + 0.2):
        assert bool((RATINGS[name](outputs(moved), EVERY, RATED) > at).all())


def test_the_smooth_huber_is_quadratic_near_and_linear_far() -> None:
    rated = torch.tensor([0.5, 0.5])
    near, far = RATINGS["huber"](outputs(torch.tensor([0.501, 0.999]).logit()), EVERY[:2], rated).tolist()
    assert near == pytest.approx(0.001**2 / (2 * BEND), rel=2e-2)
    assert far == pytest.approx(0.499 - BEND, abs=0.01)


def test_both_heads_of_crnet_learn_and_agree() -> None:
    out = outputs(torch.zeros(4, requires_grad=True))
    leaves = [out["attractiveness"].detach().requires_grad_(), out[CLASS_HEAD]]
    optimiser = torch.optim.Adam(leaves, lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        made = {"attractiveness": leaves[0], CLASS_HEAD: leaves[1]}
        RATINGS["crnet"](made, EVERY, RATED).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    number = leaves[0].detach()[:, 0].sigmoid()
    classes = leaves[1].detach().softmax(dim=1) @ (torch.arange(CLASSES) / (CLASSES - 1))
    np.testing.assert_allclose(number, RATED, atol=0.02)
    np.testing.assert_allclose(classes, RATED, atol=0.04)
    np.testing.assert_array_equal(leaves[1].detach().argmax(dim=1), (RATED * (CLASSES - 1)).round())


def test_only_rated_faces_count() -> None:
    known = torch.tensor([True, False, False, True])
    for loss in RATINGS.values():
        assert loss(outputs(torch.zeros(4)), known, RATED[known]).shape == (2,)


def test_the_class_head_is_for_the_training_alone() -> None:
    config = {"model": {**TINY, "rating": "crnet"}}
    net = network(config)
    assert extra_outputs(config) == {CLASS_HEAD: CLASSES}
    crops = torch.randn(2, 3, 112, 112)
    assert net.raw(crops)[CLASS_HEAD].shape == (2, CLASSES)
    assert len(net(crops)) == len(net.heads) == 10
    assert CLASS_HEAD not in network({"model": TINY}).raw(crops)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="'l3' is unknown; expected one of plain, huber, crnet"):
        rating_loss({"model": {"rating": "l3"}})


def problem(noise: float, count: int = 80, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Features of unlike scale, one of them constant, and noisy targets."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(count, width)) * np.logspace(-1, 1, width) + 3
    features[:, -1] = 7.0
    weights = rng.normal(size=width) / np.logspace(-1, 1, width)
    return features, features @ weights + noise * rng.normal(size=count)


def brute_evidence(features: np.ndarray, targets: np.ndarray, alpha: float, beta: float) -> float:
    """The log density of the targets under the covariance that both precisions imply."""
    covariance = features @ features.T / alpha + np.eye(len(targets)) / beta
    _, volume = np.linalg.slogdet(2 * np.pi * covariance)
    return float(-0.5 * (volume + targets @ np.linalg.solve(covariance, targets)))


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_the_evidence_is_the_density_of_the_targets(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    features, targets = rng.normal(size=shape), rng.normal(size=shape[0])
    for alpha, beta in ((1.0, 1.0), (0.3, 20.0)):
        expected = brute_evidence(features, targets, alpha, beta)
        assert log_evidence(features, targets, alpha, beta) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("noise", [0.3, 2.0])
def test_no_other_precisions_make_the_targets_more_probable(noise: float) -> None:
    features, targets = problem(noise)
    solved = bayesian_ridge(features, targets)
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    centred = targets - targets.mean()
    for a in (0.5, 0.8, 1.25, 2.0):
        for b in (0.5, 0.8, 1.25, 2.0):
            other = brute_evidence(scaled, centred, solved.alpha * a, solved.beta * b)
            assert other < solved.evidence
    assert 1 / np.sqrt(solved.beta) == pytest.approx(noise, rel=0.25)


def test_the_weights_are_those_of_the_closed_form_and_a_constant_feature_has_none() -> None:
    features, targets = problem(0.5)
    solved = bayesian_ridge(features, targets)
    spread = np.where(features.std(axis=0) > 0, features.std(axis=0), 1.0)
    scaled = (features - features.mean(axis=0)) / spread
    square = scaled.T @ scaled + solved.alpha / solved.beta * np.eye(scaled.shape[1])
    expected = np.linalg.solve(square, scaled.T @ (targets - targets.mean())) / spread
    np.testing.assert_allclose(solved.weights, expected, rtol=1e-5, atol=1e-9)
    assert solved.weights[-1] == pytest.approx(0.0, abs=1e-12)
    assert np.mean(features @ solved.weights + solved.bias) == pytest.approx(targets.mean())


@pytest.mark.parametrize("targets", [[1.0, 2.0], [4.0] * 9])
def test_too_little_to_fit_is_refused(targets: list[float]) -> None:
    with pytest.raises(ValueError, match="expected at least 3 that differ"):
        bayesian_ridge(np.zeros((len(targets), 2)), np.array(targets))


def test_features_that_say_nothing_leave_the_mean() -> None:
    solved = bayesian_ridge(np.full((4, 3), 7.0), np.array([1.0, 2.0, 4.0, 5.0]))
    np.testing.assert_array_equal(solved.weights, np.zeros(3))
    assert solved.bias == 3.0
