"""The mean of checkpoints: of floats name by name, refused where the networks differ, never half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from rated_faces import save_rated_faces
from vultus.errors import ModelError
from vultus_models.face.system import network as face_network
from vultus_models.train import read_recipe
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


RECIPE = """
system = "face"
name = "tiny-face"
schedule = {{ steps = 1, batch = 16, lr = 0.0 }}
model = {{ stages = [[8, 1], [8, 1], [8, 1], [8, 1], [{width}, 1]], embedding = 16, turn = 8, marks = 8 }}
quality = {{ faces = 30 }}
data = {{ cache = '{cache}', shares = {{ mebeauty = 1.0 }} }}
"""


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A recipe that solves the quality of faces, with its cached set."""
    save_rated_faces(tmp_path / "cache", 40, first_val=25)
    (recipe := tmp_path / "recipe.toml").write_text(RECIPE.format(width=16, cache=tmp_path / "cache"))
    return recipe


def face_networks(recipe: Path) -> list[nn.Module]:
    """Return two untrained networks of a recipe."""
    every: list[nn.Module] = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        every.append(face_network(read_recipe(recipe)))
    return every


def test_what_the_recipe_solves_is_solved_for_the_mean(faces: Path, tmp_path: Path) -> None:
    networks, out = face_networks(faces), tmp_path / "best.pt"
    asked = [*stored(tmp_path, *networks), "--out", str(out), "--recipe", str(faces), "--data", str(tmp_path)]
    result = CliRunner().invoke(APP, asked)
    assert result.exit_code == 0, result.output
    assert "quality_rank" in result.output
    solved = torch.load(out, weights_only=True)["model"]
    plain = mean_of([one.state_dict() for one in networks])
    changed = {name for name, value in plain.items() if not torch.equal(value, solved[name])}
    assert changed == {"out.quality.weight", "out.quality.bias"}


@pytest.mark.parametrize(
    ("width", "more", "code", "words"),
    [
        (24, ("--data", "."), 1, "is not of the recipe's network; give the recipe of its runs"),
        (16, (), 2, "come together"),
    ],
    ids=["other network", "no data"],
)
def test_a_recipe_that_does_not_fit_is_refused(
    width: int, more: tuple[str, ...], code: int, words: str, faces: Path, tmp_path: Path
) -> None:
    paths, out = stored(tmp_path, *face_networks(faces)), tmp_path / "best.pt"
    faces.write_text(RECIPE.format(width=width, cache=tmp_path / "cache"))
    result = CliRunner().invoke(APP, [*paths, "--out", str(out), "--recipe", str(faces), *more])
    assert (result.exit_code, words in result.output) == (code, True), result.output
    assert not out.exists()
