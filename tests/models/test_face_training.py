"""The face system as the loop sees it: a recipe to a run on small sets, and figures that mean what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vultus.geometry import template_points
from vultus_models.face.cache import CROP, FACES, MARGIN, SIDE
from vultus_models.face.evaluation import measure, score_of
from vultus_models.face.group_age import GroupAge
from vultus_models.face.heads import outputs_of
from vultus_models.face.network import FaceNet
from vultus_models.face.system import FaceTask, build, network
from vultus_models.train import read_recipe
from vultus_models.training.checkpoint import load_weights
from vultus_models.training.loop import fit

RECIPE: dict[str, Any] = {
    "schedule": {"steps": 4, "batch": 8, "lr": 1e-3, "warmup": 1, "eval_every": 2, "log_every": 1},
    "model": {"stages": [[8, 1], [8, 1], [8, 1], [8, 1], [16, 1]], "embedding": 16, "turn": 8},
    "data": {"shares": {"fer2013": 0.5, "utkface": 0.5}},
}


def cache_set(cache: Path, name: str, **labels: Any) -> None:
    """Write a cached set of 30 noisy crops, the last ten kept for validation."""
    rng = np.random.default_rng(len(name))
    faces = np.zeros(30, FACES)
    faces["val"][20:] = True
    faces["points"] = template_points(CROP) + MARGIN
    faces["five"] = faces["landmarks"] = np.nan
    for field in faces["labels"].dtype.names or ():
        faces["labels"][field] = -1 if faces["labels"][field].dtype == np.int8 else np.nan
    faces["labels"]["profile"] = 0
    for field, values in labels.items():
        faces["labels"][field] = values
    np.save(cache / f"{name}.npy", rng.integers(0, 256, (30, SIDE, SIDE, 3), np.uint8))
    np.save(cache / f"{name}.faces.npy", faces)
    np.save(cache / f"{name}.pose.npy", rng.normal(0, 10, (30, 3)).astype(np.float32))


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """A recipe whose cache is there, so no teacher is needed."""
    cache = tmp_path / "cache"
    cache.mkdir()
    cache_set(cache, "fer2013", expression=np.arange(30) % 7)
    cache_set(cache, "utkface", age=np.arange(30) + 20.0, gender=np.arange(30) % 2)
    return {**RECIPE, "data": {**RECIPE["data"], "cache": str(cache)}}


def test_a_recipe_becomes_a_run(recipe: dict[str, Any], tmp_path: Path) -> None:
    model, task, schedule = build(recipe, tmp_path, 1)
    before = [p.detach().clone() for p in model.parameters()]
    fit(model, task, schedule, tmp_path / "run", 1)
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    fresh = network(recipe)
    load_weights(fresh, tmp_path / "run" / "best.pt")
    figures = task.evaluate(fresh.eval())
    named = {"score", "fer2013.expression", "utkface.gender", "utkface.age_mae", "utkface.pose"}
    assert named <= set(figures)
    assert all(np.isfinite(value) for value in figures.values())


def test_the_same_seed_gives_the_same_start(recipe: dict[str, Any], tmp_path: Path) -> None:
    one, two, other = (build(recipe, tmp_path, seed)[0].state_dict() for seed in (1, 1, 2))
    name = "out.age.weight"
    assert torch.equal(one[name], two[name])
    assert not torch.equal(one[name], other[name])


def test_the_loss_falls_on_one_batch(recipe: dict[str, Any], tmp_path: Path) -> None:
    model, task, _ = build(recipe, tmp_path, 1)
    batch = task.batch(np.random.default_rng(0), 8)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    totals = []
    for _ in range(25):
        loss, parts = task.loss(model, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        totals.append(loss.item())
    assert totals[-1] < 0.6 * totals[0]
    assert parts["expression"] > 0
    assert parts["landmarks"] == 0


def test_another_kind_of_network_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    task: FaceTask = build(recipe, tmp_path, 1)[1]
    with pytest.raises(TypeError, match="trains a FaceNet, not a Linear"):
        task.loss(torch.nn.Linear(1, 1), {})


class Oracle(FaceNet):
    """A network that answers every face alike: 30 years, male, happy, upright."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raw = {head.output: torch.zeros(len(x), outputs_of(head)) for head in self.heads}
        raw["age"] = (GroupAge().encode(torch.full((len(x),), 30.0)) - 0.5) * 20
        raw["gender"][:, 1] = raw["expression"][:, 3] = 5.0
        return tuple(raw[head.output] for head in self.heads)


def test_figures_are_what_a_constant_answer_earns(recipe: dict[str, Any], tmp_path: Path) -> None:
    _, task, _ = build(recipe, tmp_path, 1)
    figures = measure(Oracle(recipe).eval(), task._sets, GroupAge())
    assert figures["utkface.age_mae"] == pytest.approx(np.abs(np.arange(20, 30) + 20 - 30).mean(), abs=0.02)
    assert figures["utkface.gender"] == 0.5
    assert figures["fer2013.expression"] == pytest.approx(np.mean(np.arange(20, 30) % 7 == 3))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"a.gender": 0.9}, {"a.gender": 0.8}),
        ({"a.age_mae": 5.0}, {"a.age_mae": 6.0}),
        ({"a.nme": 4}, {"a.nme": 5}),
    ],
)
def test_the_score_rises_with_every_improvement(better: dict[str, float], worse: dict[str, float]) -> None:
    assert score_of(better) > score_of(worse)


def test_the_recipe_of_the_release_is_readable() -> None:
    import vultus_models

    path = Path(vultus_models.__file__).parent / "recipes" / "face-s.toml"
    recipe = read_recipe(path)
    assert recipe["system"] == "face"
    assert sum(recipe["data"]["shares"].values()) == pytest.approx(1.0)
    assert network(recipe)(torch.zeros(2, 3, 112, 112))[0].shape == (2, 136)
