"""Ways to encode an age: every one of them learns it, and the runtime reads every one alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vultus.decode.heads import group_age
from vultus_models.face.ages import (
    AGES,
    WRITTEN_GROUP,
    PlainAge,
    SoftmaxAge,
    bell,
    learnt_code,
    written_code,
)
from vultus_models.face.group_age import GroupAge
from vultus_models.face.heads import heads, spec
from vultus_models.face.network import network

TINY: dict[str, Any] = {"stages": [[8, 1], [8, 1], [8, 1], [8, 1], [16, 1]], "embedding": 16, "turn": 8}


def test_group_n_is_the_default() -> None:
    assert learnt_code({}) == written_code({}) == learnt_code({"model": {"age": "group"}})


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="'bins' is unknown; expected one of group, softmax, plain"):
        learnt_code({"model": {"age": "bins"}})


@given(st.floats(-20, 140, width=32), st.sampled_from([(0, 101), (16, 60)]))
def test_the_decoder_reads_from_a_bell_the_age_that_made_it(age: float, ages: tuple[int, int]) -> None:
    first, count = ages
    last = first + count - 1
    code = GroupAge(first, count, WRITTEN_GROUP)
    logits = bell(torch.tensor([age]), code).double().numpy()
    found, _ = group_age(logits, first, count, code.group)
    inside = first + 1 <= age <= last - 1
    assert found[0] == pytest.approx(np.clip(age, first, last), abs=0.011 if inside else 0.18)


@given(st.floats(0, 100, width=32))
def test_a_bell_is_nowhere_steep(age: float) -> None:
    # The least change that an age of some tens of years in float32 can have, and a gate of 1e-4 for its logits.
    here, there = (
        bell(torch.tensor([one], dtype=torch.float64), GroupAge(group=WRITTEN_GROUP))
        for one in (age, age + 2e-5)
    )
    assert bool(torch.isclose(here, there, rtol=1e-4, atol=1e-4).all())


@pytest.mark.parametrize("half", [torch.float16, torch.float32])
def test_a_bell_stays_finite_in_half_precision(half: torch.dtype) -> None:
    assert bool(
        torch.isfinite(
            bell(torch.tensor([0.0, 33.25, 100.0], dtype=half), GroupAge(group=WRITTEN_GROUP))
        ).all()
    )


@pytest.mark.parametrize("age", AGES)
def test_descending_the_loss_finds_the_ages(age: str) -> None:
    config = {"model": {"age": age}}
    code, ages = learnt_code(config), torch.tensor([3.0, 31.0, 78.0])
    raw = torch.zeros(3, code.size, requires_grad=True)
    optimiser = torch.optim.Adam([raw], lr=0.4)
    for _ in range(120):
        optimiser.zero_grad()
        code.loss(raw, ages).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    out = {"age": raw.detach()}
    written = network({"model": {**TINY, "age": age}}).written(out)["age"]
    head = next(head for head in heads(config) if head.field == "age")
    found, _ = group_age(written.double().numpy(), head.first, head.count, head.group)
    np.testing.assert_allclose(found, ages, atol=1.0)


def test_a_softmax_means_its_expectation_and_a_plain_age_its_unit() -> None:
    logits = torch.full((1, 101), -50.0)
    logits[0, 20] = logits[0, 40] = 0.0
    assert SoftmaxAge().years(logits).item() == pytest.approx(30.0, abs=1e-4)
    assert PlainAge().years(torch.tensor([[0.5]])).item() == 45.0


@pytest.mark.parametrize(
    ("age", "learnt", "written"), [("group", 111, 111), ("softmax", 101, 103), ("plain", 1, 103)]
)
def test_a_network_learns_in_one_form_and_gives_another(age: str, learnt: int, written: int) -> None:
    config = {"model": {**TINY, "age": age}}
    net = network(config).eval()
    crops = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        raw, out = net.raw(crops), net(crops)
    place = [head.output for head in spec(config).heads].index("age")
    assert raw["age"].shape == (2, learnt)
    assert out[place].shape == (2, written)
