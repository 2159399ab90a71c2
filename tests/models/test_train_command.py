"""`python -m vultus_models.train` before it trains: what is missing or malformed ends as a line, not as a traceback."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Absent())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {absent!r} else found(name, package)
import runpy
sys.argv = ["train", *{arguments!r}]
runpy.run_module("vultus_models.train", run_name="__main__")
"""


def train(*arguments: str | Path, absent: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    program = WITHOUT.format(absent=absent, arguments=[str(argument) for argument in arguments])
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"COLUMNS": "300"}
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text('system = "detector"\n')
    return path


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        (("torch",), "training needs torch, "),
        (("torch", "tensorboard"), "training needs torch and tensorboard, "),
    ],
)
def test_without_its_packages_training_names_the_extra(
    absent: tuple[str, ...], named: str, recipe: Path, tmp_path: Path
) -> None:
    done = train(recipe, "--data", tmp_path, "--run", tmp_path / "run", absent=absent)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {named}")
    assert "pip install 'vultus[train]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_help_needs_no_framework() -> None:
    done = train("--help", absent=("torch", "tensorboard"))
    assert done.returncode == 0, done.stderr
    assert "--data" in done.stdout


def test_data_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    recipe = resources.files("vultus_models") / "recipes" / "face-s.toml"
    text = recipe.read_text(encoding="utf-8").replace('cache = "', f'cache = "{tmp_path}/')
    (tmp_path / "own.toml").write_text(text)
    (tmp_path / "data").mkdir()
    done = train(tmp_path / "own.toml", "--data", tmp_path / "data", "--run", tmp_path / "run")
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "yunet_n_dynamic.onnx is not there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("system = ", "is not a recipe in TOML"),
        ('system = "chair"', "names the system 'chair'; expected one of detector"),
    ],
)
def test_a_malformed_recipe_is_an_error_of_usage(
    text: str, message: str, recipe: Path, tmp_path: Path
) -> None:
    recipe.write_text(text)
    done = train(recipe, "--data", tmp_path, "--run", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (
            'system = "face"\n[model]\nkind = "forest"\n[schedule]\nsteps = 1\nbatch = 1\nlr = 0.1\n',
            "'forest' is unknown",
        ),
        (
            'system = "face"\n[balance]\nkind = "luck"\n[schedule]\nsteps = 1\nbatch = 1\nlr = 0.1\n',
            "[balance] kind is 'luck'; expected 'uncertainty'",
        ),
    ],
)
def test_a_network_that_there_is_not_is_one_line(recipe: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(recipe)
    done = train(tmp_path / "own.toml", "--data", tmp_path, "--run", tmp_path / "run")
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: the recipe cannot be built: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
