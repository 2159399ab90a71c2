"""The recipe of kind ridge as a run: solved on the trunk's features, written as a checkpoint, refused without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rated_faces import save_rated_faces
from vultus.errors import ModelError
from vultus_models.face.ridge import RidgeTask
from vultus_models.face.system import build, network
from vultus_models.training.checkpoint import load_weights

RECIPE: dict[str, Any] = {
    "name": "tiny-ridge",
    "schedule": {"steps": 1, "batch": 16, "lr": 0.0},
    "model": {"kind": "ridge", "stages": [[8, 1]] * 4 + [[16, 1]], "embedding": 16, "turn": 8},
    "ridge": {"trunk": "trunk"},
    "data": {"shares": {"mebeauty": 1.0}},
}
COUNT = 60


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """A recipe with a cached set in which brighter faces are rated higher, and a trunk beside the run."""
    cache = tmp_path / "cache"
    save_rated_faces(cache, COUNT, first_val=40)
    (tmp_path / "runs" / "trunk").mkdir(parents=True)
    torch.manual_seed(4)
    torch.save({"model": network(RECIPE).state_dict()}, tmp_path / "runs" / "trunk" / "best.pt")
    return {**RECIPE, "data": {**RECIPE["data"], "cache": str(cache)}}


def test_the_solved_layer_is_in_the_checkpoint_and_the_trunk_is_untouched(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    model, task, schedule = build(recipe, tmp_path, 1)
    assert isinstance(task, RidgeTask)
    run = tmp_path / "runs" / "ridge"
    task.fit(model, schedule, run, 1)
    fresh, trunk = network(recipe), network(recipe)
    load_weights(fresh, run / "best.pt")
    load_weights(trunk, tmp_path / "runs" / "trunk" / "best.pt")
    changed = {
        name for name, value in fresh.state_dict().items() if not torch.equal(value, trunk.state_dict()[name])
    }
    assert changed == {"out.attractiveness.weight", "out.attractiveness.bias"}
    assert task.evaluate(fresh.eval())["mebeauty.attractiveness_pc"] > 0.95
    assert torch.load(run / "last.pt", weights_only=True)["step"] == schedule.steps
    assert '"evidence"' in (run / "log.jsonl").read_text()


def test_quality_is_solved_too_where_the_recipe_asks_for_it(recipe: dict[str, Any], tmp_path: Path) -> None:
    asked = {**recipe, "quality": {"faces": 40}}
    trunk = tmp_path / "runs" / "trunk" / "best.pt"
    torch.save({"model": network(asked).state_dict()}, trunk)
    model, task, schedule = build(asked, tmp_path, 1)
    assert isinstance(task, RidgeTask)
    task.fit(model, schedule, tmp_path / "runs" / "ridge", 1)
    solved = torch.load(tmp_path / "runs" / "ridge" / "best.pt", weights_only=True)["model"]
    unsolved = torch.load(trunk, weights_only=True)["model"]
    for head in ("attractiveness", "quality"):
        assert not torch.equal(solved[f"out.{head}.weight"], unsolved[f"out.{head}.weight"])
    assert '"quality_rank"' in (tmp_path / "runs" / "ridge" / "log.jsonl").read_text()


def test_without_its_trunk_or_without_rated_faces_it_says_so(recipe: dict[str, Any], tmp_path: Path) -> None:
    model, task, schedule = build(recipe, tmp_path, 1)
    assert isinstance(task, RidgeTask)
    with pytest.raises(ModelError, match=r"trunk/best.pt is not there; train its recipe first"):
        task.fit(model, schedule, tmp_path / "elsewhere" / "ridge", 1)
    task._sets[0].faces["labels"]["attractiveness"] = np.nan
    with pytest.raises(ValueError, match="no training face of the recipe's sets is rated"):
        task.fit(model, schedule, tmp_path / "runs" / "ridge", 1)
