"""The mean of checkpoints: of floats name by name, refused where the networks differ, never half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from vultus.errors import ModelError
from vultus_models.training.checkpoint import load_weights, write_checkpoint
from vultus_models.training.soup import main, mean_of

APP = typer.Typer()
APP.command()(main)


def network(seed: int, width: int = 4) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))


def stored(folder: Path, *networks: nn.Module) -> list[str]:
    """Write checkpoints and return their paths."""
    paths = [folder / f"{k}.pt" for k in range(len(networks))]
    for path, one in zip(paths, networks, strict=True):
        write_checkpoint({"model": one.state_dict(), "step": 3}, path)
    return [str(path) for path in paths]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_mean_is_taken_name_by_name_and_loads(count: int, tmp_path: Path) -> None:
    networks = [network(seed) for seed in range(count)]
    out = tmp_path / "new" / "best.pt"
    result = CliRunner().invoke(APP, [*stored(tmp_path, *networks), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"the mean of {count} checkpoints" in result.output
    load_weights(mean := network(99), out)
    expected = torch.stack([one.state_dict()["0.weight"] for one in networks]).mean(dim=0)
    torch.testing.assert_close(mean.state_dict()["0.weight"], expected)


def test_one_checkpoint_many_times_is_itself() -> None:
    weights = network(1).state_dict()
    for name, value in mean_of([weights] * 4).items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)
        assert value.dtype == weights[name].dtype


@pytest.mark.parametrize(
    "other",
    [network(0, 5), nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Linear(2, 2)],
    ids=["wider", "less", "else"],
)
def test_different_networks_have_no_mean(other: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="of different networks; give runs of one recipe's network"):
        mean_of([network(0).state_dict(), other.state_dict()])
    out = tmp_path / "best.pt"
    result = CliRunner().invoke(APP, [*stored(tmp_path, network(0), other), "--out", str(out)])
    assert result.exit_code == 1
    assert "soup: the checkpoints are of different networks" in result.output
    assert not out.exists()


def test_what_cannot_be_averaged_is_refused(tmp_path: Path) -> None:
    (one,) = stored(tmp_path, network(0))
    alone = CliRunner().invoke(APP, [one, "--out", str(tmp_path / "best.pt")])
    assert (alone.exit_code, "two checkpoints or more, not 1" in alone.output) == (2, True)
    absent = CliRunner().invoke(APP, [one, str(tmp_path / "no.pt"), "--out", str(tmp_path / "best.pt")])
    assert (absent.exit_code, "no.pt is not there" in absent.output) == (1, True)
    assert not (tmp_path / "best.pt").exists()
