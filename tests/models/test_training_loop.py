"""The training loop: it learns, logs, resumes to the same weights, and refuses a diverged loss."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vultus.errors import ModelError
from vultus_models.training.checkpoint import load_weights
from vultus_models.training.loop import Batch, Schedule, fit


class Line:
    """Fit y = 2x + 1 from noisy samples."""

    def __init__(
        self, stop_at: int | None = None, blow_up: bool = False, stop_judging: int | None = None
    ) -> None:
        self.stop_at, self.blow_up, self.seen = stop_at, blow_up, 0
        self.stop_judging, self.judged = stop_judging, 0

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        x = torch.from_numpy(rng.uniform(-1, 1, (size, 1)).astype(np.float32))
        return {"x": x, "y": 2 * x + 1}

    def pictures(self, batch: Batch) -> Tensor:
        return batch["x"]

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        self.seen += 1
        if self.stop_at is not None and self.seen > self.stop_at:
            raise KeyboardInterrupt
        error = (model(batch["x"]) - batch["y"]).square().mean()
        return (error / 0 if self.blow_up else error), {"mse": float(error.detach())}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        self.judged += 1
        if self.judged == self.stop_judging:
            raise KeyboardInterrupt
        x = torch.linspace(-1, 1, 9)[:, None]
        return {"score": -float((model(x) - 2 * x - 1).abs().mean())}

    def complete(self, model: nn.Module, seed: int) -> dict[str, float]:
        return {}


SCHEDULE = Schedule(
    steps=300, batch=16, lr=0.05, warmup=10, ema=0.9, log_every=50, eval_every=100, bf16=False
)


def fresh() -> nn.Module:
    torch.manual_seed(3)
    return nn.Linear(1, 1)


def weights(model: nn.Module) -> list[float]:
    return [float(value) for parameter in model.parameters() for value in parameter.detach().flatten()]


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def steps_of(run: Path, kind: str) -> list[int]:
    return [line["step"] for line in log_of(run) if line["kind"] == kind]


def test_it_learns_and_logs(tmp_path: Path) -> None:
    model = fit(fresh(), Line(), SCHEDULE, tmp_path, seed=1)
    assert weights(model) == pytest.approx([2.0, 1.0], abs=0.05)
    assert steps_of(tmp_path, "val") == [100, 200, 300]
    assert {"best.pt", "last.pt"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("stop_at", [None, 120])
def test_training_leaves_the_arithmetic_of_its_process_as_it_was(stop_at: int | None, tmp_path: Path) -> None:
    tiniest = np.nextafter(np.float32(0), np.float32(1))
    with nullcontext() if stop_at is None else pytest.raises(KeyboardInterrupt):
        fit(fresh(), Line(stop_at=stop_at), SCHEDULE, tmp_path, seed=1)
    assert tiniest * np.float32(2) > 0


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = fit(fresh(), Line(), SCHEDULE, tmp_path / "whole", seed=1)
    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), Line(stop_at=150), SCHEDULE, tmp_path / "cut", seed=1)
    resumed = fit(fresh(), Line(), SCHEDULE, tmp_path / "cut", seed=1)
    assert weights(resumed) == weights(whole)


@pytest.mark.parametrize("evaluation", [1, 2, 3])
def test_an_evaluation_that_was_interrupted_is_made_up_for(evaluation: int, tmp_path: Path) -> None:
    whole = fit(fresh(), Line(), SCHEDULE, tmp_path / "whole", seed=1)
    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), Line(stop_judging=evaluation), SCHEDULE, tmp_path / "cut", seed=1)
    resumed = fit(fresh(), Line(), SCHEDULE, tmp_path / "cut", seed=1)
    assert weights(resumed) == weights(whole)
    assert steps_of(tmp_path / "cut", "val") == [100, 200, 300]
    assert steps_of(tmp_path / "cut", "start") == [0, 100 * evaluation]


def test_a_checkpoint_from_before_evaluations_were_noted_goes_on(tmp_path: Path) -> None:
    whole = fit(fresh(), Line(), SCHEDULE, tmp_path / "whole", seed=1)
    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), Line(stop_at=150), SCHEDULE, tmp_path / "cut", seed=1)
    stored = torch.load(tmp_path / "cut" / "last.pt", weights_only=True)
    del stored["judged"]
    torch.save(stored, tmp_path / "cut" / "last.pt")
    assert weights(fit(fresh(), Line(), SCHEDULE, tmp_path / "cut", seed=1)) == weights(whole)
    assert steps_of(tmp_path / "cut", "val") == [100, 200, 300]


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    trained = fit(fresh(), Line(), SCHEDULE, tmp_path, seed=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = fit(fresh(), Line(stop_at=0, stop_judging=1), SCHEDULE, tmp_path, seed=1)
    assert weights(again) == weights(trained)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_best_weights_are_completed_once_and_the_run_goes_on_from_what_was_trained(
    tmp_path: Path,
) -> None:
    class Doubling(Line):
        def complete(self, model: nn.Module, seed: int) -> dict[str, float]:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(2)
            return {"factor": 2.0}

    plain = fit(fresh(), Line(), SCHEDULE, tmp_path / "plain", seed=1)
    for _ in range(2):
        doubled = fit(fresh(), Doubling(), SCHEDULE, tmp_path / "doubled", seed=1)
        assert weights(doubled) == [2 * weight for weight in weights(plain)]
    load_weights(plain, tmp_path / "doubled" / "best.pt")
    assert weights(plain) == weights(doubled)
    assert [line["factor"] for line in log_of(tmp_path / "doubled") if line["kind"] == "complete"] == [2.0]
    last = [torch.load(tmp_path / run / "last.pt", weights_only=True) for run in ("plain", "doubled")]
    assert torch.equal(last[0]["trained"]["weight"], last[1]["trained"]["weight"])


def test_what_cannot_be_completed_says_that_the_training_is_done(tmp_path: Path) -> None:
    class Lacking(Line):
        def complete(self, model: nn.Module, seed: int) -> dict[str, float]:
            raise ValueError("there are no faces")

    with pytest.raises(ModelError, match=r"is done, but not what comes after it: there are no faces"):
        fit(fresh(), Lacking(), SCHEDULE, tmp_path, seed=1)
    assert fit(fresh(), Line(stop_at=0), SCHEDULE, tmp_path, seed=1), "it need not be trained again"


def test_the_log_says_with_what_a_run_began_and_is_json_also_without_a_figure(tmp_path: Path) -> None:
    class Blind(Line):
        def evaluate(self, model: nn.Module) -> dict[str, float]:
            return {"score": 0.0, "error": float("nan")}

    fit(fresh(), Blind(), SCHEDULE, tmp_path, seed=5)
    start, *others = log_of(tmp_path)
    assert (start["kind"], start["step"], start["seed"]) == ("start", 0, 5)
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", start["commit"])
    assert {line["error"] for line in others if line["kind"] == "val"} == {None}
    assert "NaN" not in (tmp_path / "log.jsonl").read_text()


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_a_checkpoint_of_another_network_is_refused(name: str, tmp_path: Path) -> None:
    fit(fresh(), Line(), SCHEDULE, tmp_path, seed=1)
    other = nn.Linear(1, 2)
    ways: dict[str, Callable[[], object]] = {
        "last.pt": lambda: fit(other, Line(), SCHEDULE, tmp_path, seed=1),
        "best.pt": lambda: load_weights(other, tmp_path / name),
    }
    with pytest.raises(ModelError, match=rf"{name} does not fit the network of this recipe; use the recipe"):
        ways[name]()


def test_a_diverged_loss_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"the loss is inf at step 0: .*lower the rate"):
        fit(fresh(), Line(blow_up=True), SCHEDULE, tmp_path, seed=1)


def test_an_error_in_a_batch_reaches_the_caller(tmp_path: Path) -> None:
    class Broken(Line):
        def batch(self, rng: np.random.Generator, size: int) -> Batch:
            raise RuntimeError("no such picture")

    with pytest.raises(RuntimeError, match="no such picture"):
        fit(fresh(), Broken(), SCHEDULE, tmp_path, seed=1)
