"""How a run ends when there is nothing to train any more, when its head is solved, and when its export is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rated_faces import save_rated_faces
from vultus.onnxfile import spec_from_onnx
from vultus_models.face.kinds import network
from vultus_models.train import read_recipe

COUNT = 40
RECIPE = """
system = "face"
name = "{name}"
[schedule]
steps = {steps}
batch = 8
lr = 1e-3
[model]
kind = "{kind}"
heads = ["attractiveness", "age"]
stages = [[8, 1], [8, 1], [8, 1], [8, 1], [16, 1]]
embedding = 16
shape = 8
[ridge]
trunk = "trunk"
[data]
cache = "cache"
teachers = false
[data.shares]
mebeauty = 1.0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a cached set in which brighter faces are rated higher."""
    save_rated_faces(tmp_path / "cache", COUNT, first_val=28)
    (tmp_path / "data").mkdir()
    return tmp_path


def recipe(folder: Path, name: str, kind: str, steps: int = 1) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(RECIPE.format(name=name, kind=kind, steps=steps))
    return path


def weights_of(path: Path) -> dict[str, Any]:
    torch.manual_seed(4)
    return dict(network(read_recipe(path)).state_dict())


def train(folder: Path, path: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "vultus_models.train", path.name, "--data", "data", "--seed", "3"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_a_solved_head_ends_as_a_trained_one(folder: Path) -> None:
    path = recipe(folder, "solved", "ridge")
    (folder / "runs" / "trunk").mkdir(parents=True)
    torch.save({"model": weights_of(path)}, folder / "runs" / "trunk" / "best.pt")
    done = train(folder, path)
    assert done.returncode == 0, done.stderr
    run = folder / "runs" / "solved"
    assert "Bayesian ridge" in spec_from_onnx(run / "solved.onnx").description
    card = (run / "solved.md").read_text()
    assert "| seed | 3 |" in card
    assert "`evidence`" in card
    assert "| mebeauty | - | not in the folder" in card


def test_a_finished_run_that_fails_its_gate_leaves_what_was_there(folder: Path) -> None:
    path = recipe(folder, "torn", "plain")
    assert train(folder, path).returncode == 0
    run = folder / "runs" / "torn"
    kept = {name: (run / name).read_bytes() for name in ("torn.onnx", "torn.md")}
    assert b"| steps | 1, the best of 1 |" in kept["torn.md"]
    stored = torch.load(run / "best.pt", weights_only=True)
    # Weights next to nothing, which the norm makes up for: they round otherwise once they are folded into it.
    weights = stored["model"]
    weights["stages.0.0.conv.weight"] *= 1e-44
    weights["stages.0.0.norm.weight"][:] = 1e38
    weights["stages.0.0.norm.running_mean"][:] = 0
    weights["stages.0.0.norm.running_var"][:] = 1
    weights["stages.1.0.norm.weight"] *= 1e7
    torch.save(stored, run / "best.pt")
    done = train(folder, path)
    assert done.returncode == 1
    assert "does not answer as its reference does" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the training in runs/torn is done, but its export ended with 1")
    assert "Traceback" not in done.stderr
    assert {name: (run / name).read_bytes() for name in kept} == kept
    assert {one.name for one in run.iterdir()} == {"best.pt", "events", "last.pt", "log.jsonl", *kept}
