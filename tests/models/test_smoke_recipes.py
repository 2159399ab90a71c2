"""The whole way on drawn faces, as a user goes it: draw, train, stop, go on, export, card, and faces from a picture."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from harness.network_size import network_size
from vultus.onnxfile import spec_from_onnx
from vultus_models.data.sets import open_set
from vultus_models.train import RECIPES, read_recipe, system_of
from vultus_models.training.card import macs_of, parameters_of

pytestmark = pytest.mark.slow

PATIENCE = 300
"""Seconds that a command may take on a machine with other things to do."""


def command(module: str, *words: str) -> list[str]:
    start = ["-c", "from vultus.cli import main; main()"] if module == "vultus" else ["-m", module]
    return [sys.executable, *start, *words]


def ended(folder: Path, *words: str) -> None:
    done = subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def log_of(run: Path) -> list[dict[str, Any]]:
    log = run / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def training(name: str) -> list[str]:
    return ["vultus_models.train", str(RECIPES / f"{name}.toml"), "--data", "made", "--seed", "7"]


def stopped(folder: Path, run: Path, *words: str) -> str:
    """Run a training until it has logged a step, interrupt it and return what it said."""
    process = subprocess.Popen(command(*words), cwd=folder, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE
    while not any(line["kind"] == "train" for line in log_of(run)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130, said
    return said


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with drawn sets and the finished runs of both recipes; the face's was stopped once."""
    folder = tmp_path_factory.mktemp("smoke")
    ended(folder, "vultus_models.data.made", "made", "--count", "96")
    run = folder / "runs" / "smoke-face"
    said = stopped(folder, run, *training("smoke-face"))
    assert "the same command goes on with runs/smoke-face" in said
    assert (run / "last.pt").exists()
    assert not list(run.glob("*.onnx"))
    for name in ("smoke-face", "smoke-detector"):
        ended(folder, *training(name))
    return folder


@pytest.fixture(params=["smoke-face", "smoke-detector"])
def run(request: pytest.FixtureRequest, trained: Path) -> Path:
    return trained / "runs" / str(request.param)


def best_of(run: Path) -> dict[str, Any]:
    return max((line for line in log_of(run) if line["kind"] == "val"), key=lambda line: line["score"])


def test_it_learns(run: Path) -> None:
    first = next(line for line in log_of(run) if line["kind"] == "val")
    best = best_of(run)
    if run.name == "smoke-face":
        assert best["score"] > first["score"] + 1
        assert best["landmarks68.nme"] < 0.7 * first["landmarks68.nme"]
        assert best["utkface.age_mae"] < first["utkface.age_mae"]
    else:
        assert best["ap40"] > 0.4
        assert best["score"] > first["score"]


def test_an_interrupted_run_went_on_where_it_was(trained: Path) -> None:
    starts = [line for line in log_of(trained / "runs" / "smoke-face") if line["kind"] == "start"]
    assert len(starts) == 2
    assert starts[0]["step"] == 0
    assert starts[1]["step"] >= 10
    assert {start["seed"] for start in starts} == {7}


def test_a_new_run_goes_on_from_the_model_file(run: Path, trained: Path) -> None:
    onward = trained / "runs" / f"{run.name}-onward"
    begun = ["--run", str(onward), "--init", str(run / f"{run.name}.onnx")]
    stopped(trained, onward, *training(run.name), *begun)
    scratch, further = (
        next(line["loss"] for line in log_of(one) if line["kind"] == "train") for one in (run, onward)
    )
    assert further < 0.8 * scratch


def test_log_events_checkpoint_and_card_tell_of_one_step(run: Path) -> None:
    best, steps = best_of(run), read_recipe(RECIPES / f"{run.name}.toml")["schedule"]["steps"]
    stored = torch.load(run / "best.pt", weights_only=True)
    assert stored["step"] == best["step"]
    assert stored["best"] == pytest.approx(best["score"], abs=1e-6)
    events = EventAccumulator(str(run / "events")).Reload().Scalars("val/score")
    assert {event.step: pytest.approx(event.value, abs=1e-5) for event in events}[best["step"]] == best[
        "score"
    ]
    card = (run / f"{run.name}.md").read_text()
    assert f"| steps | {best['step']}, the best of {steps} |" in card
    assert f"| `score` | {best['score']:.4g} |" in card
    assert "| seed | 7 |" in card
    assert "figures are of validation rows" in card


def test_the_card_names_its_file_by_hash_and_size(run: Path) -> None:
    model, card = run / f"{run.name}.onnx", (run / f"{run.name}.md").read_text()
    size, recipe = network_size(model), read_recipe(RECIPES / f"{run.name}.toml")
    for path in (model, run / "best.pt", RECIPES / f"{run.name}.toml"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert spec_from_onnx(model).name == run.name
    assert parameters_of(model) == size.parameters
    assert macs_of(system_of(recipe), recipe) == pytest.approx(size.macs, rel=1e-3)
    assert f"| multiply-accumulates | {size.macs / 1e6:.1f} M" in card


def test_the_runtime_finds_drawn_faces_with_both(trained: Path) -> None:
    source = open_set(trained / "made", "crowds")
    (trained / "pictures").mkdir()
    rows = source.of("test")[:6]
    for row in rows:
        cv2.imwrite(str(trained / "pictures" / f"{row['file']}.png"), source.picture(row))
    models = [f"runs/{name}/{name}.onnx" for name in ("smoke-detector", "smoke-face")]
    ended(trained, "vultus", "run", "pictures", "--models", models[0], "--models", models[1],
          "--json", "faces.jsonl", "--device", "cpu", "--threads", "1")  # fmt: skip
    lines = [json.loads(line) for line in (trained / "faces.jsonl").read_text().splitlines()]
    faces = [face for line in lines for face in line["faces"]]
    assert len(lines) == len(rows)
    assert faces
    assert all(np.isfinite(face["age"]) for face in faces)
