"""From a recipe to a model file: the run is finished first if it is not, then its best weights are exported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.ablation_plans import Trained
from vultus.errors import ModelError
from vultus_export.build import export_module
from vultus_export.subjects import from_recipe
from vultus_models.train import read_recipe
from vultus_models.training.checkpoint import read_checkpoint

__all__ = ["exported", "finish", "steps_done", "steps_of"]


def steps_of(trained: Trained) -> int:
    """Return how many steps a recipe asks for."""
    return int(read_recipe(trained.recipe)["schedule"]["steps"])


def steps_done(run: Path) -> int:
    """Return how many steps a run has behind it, 0 where there is none."""
    if not (run / "last.pt").is_file():
        return 0
    return int(read_checkpoint(run / "last.pt")["step"])


def finish(trained: Trained, data: Path, runs: Path, seed: int) -> Path:
    """Train a recipe into its run, or go on with it, unless it is finished; return the run.

    Raises ModelError when the training ends before its last step.
    """
    run, wanted = runs / trained.folder, steps_of(trained)
    if steps_done(run) >= wanted:
        return run
    command = [sys.executable, "-m", "vultus_models.train", str(trained.recipe)]
    done = subprocess.run(
        [*command, "--data", str(data), "--run", str(run), "--seed", str(seed)], check=False
    ).returncode
    if done or steps_done(run) < wanted:
        raise ModelError(
            f"the run {run} ended with {done} at step {steps_done(run)} of {wanted}; its last lines say why, "
            "and the same command goes on from there"
        )
    return run


def exported(trained: Trained, runs: Path) -> Path:
    """Write the ONNX file of a finished run's best weights into the run and return it."""
    run = runs / trained.folder
    subject = from_recipe(str(trained.recipe), run / "best.pt")
    out = run / f"{trained.recipe.stem}.onnx"
    export_module(subject.ready, subject.spec, out, None, [], subject.trained)
    return out
