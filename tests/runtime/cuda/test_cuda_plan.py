"""Buckets of the face network: which there are, which is guessed, and how the rest is covered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus import ModelError
from vultus.cuda.plan import MEMORY, BucketPlan, buckets_within


@pytest.mark.parametrize(
    ("least", "most", "buckets"),
    [
        (1, 65535, (1, 2, 4, 8, 16, 32, 64)),
        (1, 32, (1, 2, 4, 8, 16, 32)),
        (1, 1, (1,)),
        (2, 5, (2, 4, 5)),
        (3, 3, (3,)),
        (8, 100, (8, 16, 32, 64)),
    ],
)
def test_buckets_lie_within_what_the_network_takes(least: int, most: int, buckets: tuple[int, ...]) -> None:
    assert buckets_within(least, most) == buckets


@pytest.mark.parametrize(("least", "most"), [(65, 100), (5, 4), (0, 0)])
def test_a_network_for_no_possible_number_is_refused(least: int, most: int) -> None:
    with pytest.raises(
        ModelError, match=f"for {least} to {most} pictures at once cannot be used; at most 64"
    ):
        buckets_within(least, most)


@given(st.integers(1, 64), st.integers(1, 200), st.integers(0, 300), st.integers(0, 300))
def test_passes_cover_every_face_and_no_bucket_is_left_empty(
    least: int, most: int, start: int, count: int
) -> None:
    plan = BucketPlan(buckets_within(least, max(least, most)))
    at = start
    for first, bucket in plan.passes(start, count):
        assert first == at < count
        assert bucket in plan.buckets
        at += bucket
    assert at >= count or start >= count


def test_the_guess_is_the_most_of_late_and_falls_to_none() -> None:
    plan = BucketPlan(buckets_within(1, 64))
    assert plan.guess() == 1
    plan.saw(5)
    plan.saw(0)
    assert plan.guess() == 8
    for _ in range(MEMORY - 2):
        plan.saw(1)
    assert plan.guess() == 8
    plan.saw(1)
    assert plan.guess() == 1
    for _ in range(MEMORY):
        plan.saw(0)
    assert plan.guess() == 0
    plan.saw(500)
    assert plan.guess() == 64
