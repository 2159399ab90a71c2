"""Bootstrap intervals: repeatable, of the right width, and honest about what is undefined."""

from __future__ import annotations

import numpy as np
import pytest

from vultus_export.metrics.intervals import Index, interval, paired_error

VALUES = np.random.default_rng(5).normal(10, 2, 400)


def mean(at: Index) -> float:
    return float(VALUES[at].mean())


def test_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    found = interval(mean, len(VALUES))
    assert found is not None
    error = VALUES.std() / np.sqrt(len(VALUES))
    assert found == pytest.approx(
        (VALUES.mean() - 1.96 * error, VALUES.mean() + 1.96 * error), abs=0.3 * error
    )


def test_interval_is_the_same_every_time_and_differs_by_name() -> None:
    assert interval(mean, len(VALUES), "a") == interval(mean, len(VALUES), "a")
    assert interval(mean, len(VALUES), "a") != interval(mean, len(VALUES), "b")


@pytest.mark.parametrize("size", [0, 1])
def test_one_value_has_no_interval(size: int) -> None:
    assert interval(mean, size) is None


def test_undefined_draws_are_left_out_and_too_many_give_none() -> None:
    rare = np.zeros(50, np.bool_)
    rare[0] = True

    def undefined_without_rare(at: Index) -> float:
        return 1.0 if rare[at].any() else float("nan")

    def always_undefined(at: Index) -> float:
        return float("nan")

    assert interval(undefined_without_rare, 50) == (1.0, 1.0)
    assert interval(always_undefined, 50) is None


def test_the_error_of_a_difference_is_that_of_the_pairs() -> None:
    rng = np.random.default_rng(5)
    hard = rng.normal(0, 10, 500)  # some faces are hard for both
    one, two = hard + rng.normal(0, 0.1, 500), hard + rng.normal(0.2, 0.1, 500)
    found = paired_error(lambda at: float(one[at].mean()), lambda at: float(two[at].mean()), 500)
    assert found == pytest.approx((two - one).std() / np.sqrt(500), rel=0.1)
    assert paired_error(lambda at: 0.0, lambda at: 1.0, 1) is None
    assert paired_error(lambda at: float("nan"), lambda at: 1.0, 50) is None
    assert paired_error(lambda at: 1.0, lambda at: 3.0, 50) == 0.0
