"""Group-n age encoding: the groups of the paper, a loss that teaches them, one decoder in training and runtime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.decode.heads import group_age
from vultus_models.face.group_age import GroupAge


def test_groups_hold_the_ages_that_the_paper_gives_them() -> None:
    code = GroupAge(0, 4, 2)
    assert code.size == 5
    expected = [[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]]
    assert code.encode(torch.arange(4.0)).tolist() == expected


@given(st.integers(1, 20), st.integers(2, 120), st.integers(0, 20), st.data())
def test_every_age_lies_in_exactly_n_neighbouring_groups(
    group: int, count: int, first: int, data: st.DataObject
) -> None:
    code = GroupAge(first, count, group)
    age = data.draw(st.integers(first, first + count - 1))
    (held,) = torch.nonzero(code.encode(torch.tensor([float(age)]))[0], as_tuple=True)
    assert held.tolist() == list(range(age - first, age - first + group))


@pytest.mark.parametrize(("age", "nearest"), [(-5.0, 0.0), (250.0, 100.0)])
def test_ages_outside_the_range_count_as_its_ends(age: float, nearest: float) -> None:
    code = GroupAge()
    assert torch.equal(code.encode(torch.tensor([age])), code.encode(torch.tensor([nearest])))


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([(0, 101, 11), (3, 20, 4), (0, 50, 1)]))
def test_training_and_runtime_decode_alike(seed: int, shape: tuple[int, int, int]) -> None:
    code = GroupAge(*shape)
    logits = np.random.default_rng(seed).normal(0, 3, (5, code.size))
    mine = code.decode(torch.from_numpy(logits)).numpy()
    theirs, _ = group_age(logits, *shape)
    np.testing.assert_allclose(mine, theirs, rtol=1e-9)


@pytest.mark.parametrize("age", [1.0, 17.0, 45.0, 99.0])
def test_descending_the_loss_leads_to_the_age(age: float) -> None:
    code, target = GroupAge(), torch.tensor([age])
    logits = torch.zeros(1, code.size, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(120):
        optimiser.zero_grad()
        code.loss(logits, target).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert code.decode(logits.detach()).item() == pytest.approx(age, abs=1.0)


def test_the_loss_is_lower_the_nearer_the_answer_is() -> None:
    code = GroupAge()
    answers = (code.encode(torch.tensor([30.0, 34.0, 50.0, 90.0])) - 0.5) * 6
    found = code.loss(answers, torch.full((4,), 30.0))
    assert found.tolist() == sorted(found.tolist())
