"""The ablation script: unfinished runs are trained, variants measured on the same pictures, tables made from JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ablations
from harness.ablation_figures import Looked, compared, looked_at, rows_in
from harness.ablation_plans import PLANS, Plan, Trained, Variant
from harness.ablation_runs import finish, steps_done
from harness.ablation_table import ablation_table
from picture_sets import Entry, coloured, write_all, write_set
from vultus.errors import ModelError
from vultus.geometry import template_points
from vultus_models.data.sets import open_set
from vultus_models.detector.system import held_back
from vultus_models.face.cache import CROP, FACES, MARGIN, SIDE
from vultus_models.face.kinds import network
from vultus_models.train import read_recipe

RECIPE = """
system = "face"
name = "{name}"
[schedule]
steps = {steps}
batch = 4
lr = 1e-3
warmup = 1
eval_every = 2
log_every = 1
[model]
stages = [[8, 1], [8, 1], [8, 1], [8, 1], [16, 1]]
embedding = 16
shape = 8
heads = [{heads}]
[data]
cache = "{cache}"
[data.shares]
utkface = 1.0
"""


def recipe(folder: Path, name: str, heads: str = '"age", "gender"', steps: int = 2) -> Trained:
    path = folder / f"{name}.toml"
    path.write_text(RECIPE.format(name=name, heads=heads, cache=folder / "cache", steps=steps))
    return Trained(path)


def finished(trained: Trained, runs: Path, seed: int) -> None:
    """Write the checkpoints of a finished run of an untrained network."""
    torch.manual_seed(seed)
    weights = {name: value * 2 for name, value in network(read_recipe(trained.recipe)).state_dict().items()}
    (runs / trained.folder).mkdir(parents=True)
    for name in ("best.pt", "last.pt"):
        torch.save({"model": weights, "step": 2}, runs / trained.folder / name)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the sets of `write_all`, with utkface of both splits."""
    folder = write_all(tmp_path_factory.mktemp("data"))
    rows: list[Entry] = []
    for k in range(16):
        labels: dict[str, object] = {
            "age": 20 + 3 * k,
            "gender": ("female", "male")[k % 2],
            "ethnicity": "white",
        }
        rows.append((coloured(96, 96, k, (32, 48)), {**labels, "split": ("val", "test")[k // 8]}))
    write_set(folder, "utkface", rows)
    return folder


@pytest.fixture(scope="module")
def result(data: Path, tiny_models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Measure one network against two that have a task each, all finished before."""
    folder = tmp_path_factory.mktemp("ablation")
    joint, age = recipe(folder, "joint"), recipe(folder, "age", '"age"')
    gender = recipe(folder, "gender", '"gender"')
    for seed, trained in enumerate((joint, age, gender)):
        finished(trained, folder / "runs", seed)
    plan = Plan(
        "Joint or apart?",
        {"joint": Variant("one", (joint,)), "apart": Variant("two", (age, gender))},
        {"age.utkface": ("mae",), "gender.utkface": ("accuracy",)},
        rising=False,
    )
    out = folder / "out.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PLANS, "joint-apart", plan)
        words = ["joint-apart", "--data", str(data), "--runs", str(folder / "runs"), "--json", str(out)]
        assert ablations.main([*words, "--detector", str(tiny_models[0])]) == 0
    return dict(json.loads(out.read_text()))


def test_every_variant_is_measured_on_both_splits_against_the_first(result: dict[str, Any]) -> None:
    assert set(result["splits"]) == {"val", "test"}
    for figures in result["splits"].values():
        assert set(figures) == {"age.utkface.mae", "gender.utkface.accuracy"}
        for entries in figures.values():
            first, other = entries["joint"], entries["apart"]
            assert first["n"] == other["n"] == 8
            assert "against_first" not in first
            difference = other["against_first"]
            assert difference["value"] == pytest.approx(other["value"] - first["value"], abs=2e-5)
            low, high = difference["ci95"]
            assert low <= difference["value"] <= high
    ages = result["splits"]["val"]["age.utkface.mae"]
    assert result["chosen"] == min(ages, key=lambda name: ages[name]["value"])


def test_the_result_says_what_was_compared(result: dict[str, Any]) -> None:
    assert [model["recipe"] for model in result["variants"]["apart"]["models"]] == ["age.toml", "gender.toml"]
    assert all(model["macs"] > 1e5 for one in result["variants"].values() for model in one["models"])
    assert (result["seed"], result["detector"]["name"]) == (1, "tiny-detector")


def test_the_table_has_a_row_a_figure_and_variant(result: dict[str, Any]) -> None:
    text = ablation_table("joint-apart", result)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 4
    test = result["splits"]["test"]["age.utkface.mae"]["apart"]
    assert f"| {test['value']:.2f} |" in rows[1]
    assert f"| {test['against_first']['value']:+.3f} (" in rows[1]
    assert f"**{result['chosen']}**" in text
    assert "Pictures of split test: `age.utkface` 8, `gender.utkface` 8." in text


def test_without_a_result_the_table_says_how_to_get_one() -> None:
    assert ablation_table("tree", None) == (
        "Not measured yet: run `python benchmarks/ablations.py tree --data DATA --runs RUNS`.\n"
    )


def cache_faces(cache: Path) -> None:
    """Write a cached set of 20 faces with ages, five kept for validation."""
    cache.mkdir()
    faces = np.zeros(20, FACES)
    faces["val"][15:] = True
    faces["points"] = template_points(CROP) + MARGIN
    faces["five"] = faces["landmarks"] = np.nan
    for field in faces["labels"].dtype.names or ():
        faces["labels"][field] = -1 if faces["labels"][field].dtype == np.int8 else np.nan
    faces["labels"]["profile"], faces["labels"]["age"] = 0, np.arange(20) + 20
    np.save(cache / "utkface.npy", np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 3), np.uint8))
    np.save(cache / "utkface.faces.npy", faces)
    np.save(cache / "utkface.pose.npy", np.zeros((20, 3), np.float32))


def test_a_run_that_is_not_finished_is_trained_once(tmp_path: Path) -> None:
    cache_faces(tmp_path / "cache")
    trained = recipe(tmp_path, "short")
    run = finish(trained, tmp_path, tmp_path / "runs", 1)
    assert (run.name, steps_done(run)) == ("short", 2)
    before = (run / "last.pt").stat().st_mtime_ns
    finish(trained, tmp_path, tmp_path / "runs", 1)
    assert (run / "last.pt").stat().st_mtime_ns == before


def test_a_training_that_fails_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"runs/short ended with 1 at step 0 of 2; its last lines say why"):
        finish(recipe(tmp_path, "short"), tmp_path, tmp_path / "runs", 1)
    assert "error: " in capfd.readouterr().err


def test_detectors_are_judged_by_their_precision_in_crowds(data: Path, tiny_models: list[Path]) -> None:
    looked = looked_at(
        tiny_models[:1], tiny_models[0], data, "test", ["detector.crowds"], lambda rows, _: rows
    )
    entry = compared({"only": looked}, "detector.crowds", "ap40")["only"]
    assert entry["value"] == pytest.approx(0.444, abs=1e-3)


def test_crowds_are_validated_on_what_training_keeps_back(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    write_set(tmp_path, "crowds", [(picture, {"boxes": ""})] * 60, "train")
    pictures = open_set(tmp_path, "crowds")
    kept = rows_in(pictures, "val")
    assert 0 < len(kept) < 30
    assert all(held_back("crowds", row["file"]) for row in kept)


def test_a_figure_that_a_variant_lacks_is_left_out() -> None:
    one = Looked({"a": 3}, {"a": {"x": lambda at: float(at.mean())}})
    assert compared({"one": one, "none": Looked({}, {})}, "a", "x").keys() == {"one"}


@pytest.mark.parametrize("name", PLANS)
def test_plans_name_recipes_that_are_there_and_figures_that_are_known(name: str) -> None:
    plan = PLANS[name]
    every = [one for variant in plan.variants.values() for one in (*variant.needs, *variant.models)]
    assert all(one.recipe.is_file() for one in every)
    own = {one.folder for one in ablations._runs_of(plan)}
    assert {one.folder for one in every} == own
    steps = {read_recipe(one.recipe)["schedule"]["steps"] for one in every}
    assert len(steps - {1}) == 1
    assert plan.judge.startswith(next(iter(plan.figures)))


def test_an_unknown_ablation_is_an_error_of_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ablations.main(["colours", "--data", str(tmp_path), "--runs", str(tmp_path)])
    assert ended.value.code == 2
    assert "invalid choice: 'colours'" in capsys.readouterr().err
