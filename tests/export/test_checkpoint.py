"""Weights from a file: all that fit or a clear word."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vultus.errors import ModelError
from vultus_export.checkpoint import load_checkpoint, read_weights


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


WEIGHTS = {key: torch.full_like(value, 0.5) for key, value in network().state_dict().items()}


@pytest.mark.parametrize(
    "wrap", [lambda w: w, lambda w: {"model": w, "step": 3}, lambda w: {"state_dict": w}]
)
def test_every_known_layout_is_read(wrap: Any, tmp_path: Path) -> None:
    torch.save(wrap(WEIGHTS), tmp_path / "best.pt")
    made = network()
    load_checkpoint(made, tmp_path / "best.pt")
    assert all((value == 0.5).all() for value in made.state_dict().values())


def without(*keys: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in WEIGHTS.items() if key not in keys}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (without("1.bias"), "does not fit the network Sequential: 1 missing (1.bias). Use the recipe"),
        ({}, "4 missing (0.bias, 0.weight, 1.bias, 1.weight)"),
        ({**WEIGHTS, "2.gain": torch.ones(1)}, "1 unexpected (2.gain)"),
        ({**WEIGHTS, "0.bias": torch.ones(9)}, "1 of another shape (0.bias is (9,), not (4,))"),
        ({f"a{k}": torch.ones(1) for k in range(9)}, "9 unexpected (a0, a1, a2, a3, ...)"),
        (
            {"model": {"0.bias": "text"}},
            "holds no state dict; expected one by itself or under 'model' or 'state_dict'",
        ),
        ([1, 2], "holds no state dict"),
    ],
)
def test_weights_that_do_not_fit(weights: Any, message: str, tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "best.pt")
    made = network()
    before = {key: value.clone() for key, value in made.state_dict().items()}
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        load_checkpoint(made, tmp_path / "best.pt")
    assert str(tmp_path / "best.pt") in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no checkpoint .*best\.pt; train the model first"):
        read_weights(tmp_path / "best.pt")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file(share: float, tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match=r"cut\.pt is not a checkpoint"):
        read_weights(tmp_path / "cut.pt")


class Hostile:
    """Runs a command when it is unpickled carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("save", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_never_run(save: str, tmp_path: Path) -> None:
    file, mark = tmp_path / "hostile.pt", tmp_path / "ran"
    if save == "torch":
        torch.save({"model": Hostile(mark)}, file)
    else:
        file.write_bytes(pickle.dumps({"model": Hostile(mark)}))
    with pytest.raises(ModelError, match=r"hostile\.pt is not a checkpoint of tensors alone"):
        read_weights(file)
    assert not mark.exists()
