"""Balance by uncertainty: weights that are learnt settle where each loss counts the same, and change no answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unlabelled import unlabelled
from vultus_models.face.balance import Balance, balance_of
from vultus_models.face.kinds import network
from vultus_models.face.losses import RULES
from vultus_models.face.system import FaceTask, fold

SMALL: dict[str, Any] = {"stages": [[8, 1]] * 4 + [[16, 1]], "embedding": 16, "turn": 8, "dropout": 0.0}


def test_it_begins_with_the_plain_sum_and_settles_at_equal_shares() -> None:
    balance = Balance(["age", "smile", "pose"])
    losses = {"age": torch.tensor(8.0), "smile": torch.tensor(0.25), "pose": torch.tensor(0.0)}
    assert float(balance(losses).detach()) == pytest.approx(8.25)
    rate = torch.optim.Adam(balance.parameters(), lr=0.05)
    for _ in range(400):
        rate.zero_grad()
        balance(losses).backward()
        rate.step()
    shares = {name: float(torch.exp(-log.detach()) * losses[name]) for name, log in balance.logs.items()}
    assert shares == pytest.approx({"age": 1.0, "smile": 1.0, "pose": 0.0}, abs=1e-3)
    assert float(balance.logs["pose"].detach()) == 0, "a loss that no face had moved its weight"


def test_nothing_known_is_nothing_learnt() -> None:
    total = Balance(["age"])({"age": torch.tensor(0.0)})
    total.backward()
    assert float(total.detach()) == 0


def test_a_recipe_asks_for_it_and_no_answer_depends_on_it() -> None:
    config = {"model": SMALL, "balance": {"kind": "uncertainty"}}
    assert network({"model": SMALL}).balance is None
    balanced = network(config)
    assert isinstance(balanced.balance, Balance)
    assert set(balanced.balance.logs) == set(RULES)
    crops, ready = torch.randn(2, 3, 112, 112), fold(balanced)
    before = ready(crops)
    for log in ready.balance.logs.values() if ready.balance else ():
        log.data.fill_(9.0)
    assert all(map(torch.equal, before, ready(crops)))
    with pytest.raises(ValueError, match="'gradnorm'; expected 'uncertainty'"):
        balance_of({"balance": {"kind": "gradnorm"}}, RULES)


def test_the_task_trains_the_weights_of_its_losses() -> None:
    config = {"model": SMALL, "balance": {"kind": "uncertainty"}, "weights": {"smile": 3.0}}
    model = network(config).train()
    task = FaceTask([], None, config)  # type: ignore[arg-type]
    batch = {**unlabelled(4), "smile": torch.tensor([0.0, 1.0, 1.0, 0.0])}
    total, parts = task.loss(model, batch)
    assert float(total.detach()) == pytest.approx(3 * parts["smile"], rel=1e-5)
    total.backward()  # type: ignore[no-untyped-call]
    assert model.balance is not None
    taught = {name for name, log in model.balance.logs.items() if log.grad is not None and log.grad != 0}
    assert taught == {"smile"}
