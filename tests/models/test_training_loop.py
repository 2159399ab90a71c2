"""The training loop: it learns, logs, resumes to the same weights, and refuses a diverged loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vultus_models.training.loop import Batch, Schedule, fit


class Line:
    """Fit y = 2x + 1 from noisy samples."""

    def __init__(self, stop_at: int | None = None, blow_up: bool = False) -> None:
        self.stop_at, self.blow_up, self.seen = stop_at, blow_up, 0

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        x = torch.from_numpy(rng.uniform(-1, 1, (size, 1)).astype(np.float32))
        return {"x": x, "y": 2 * x + 1}

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        self.seen += 1
        if self.stop_at is not None and self.seen > self.stop_at:
            raise KeyboardInterrupt
        error = (model(batch["x"]) - batch["y"]).square().mean()
        return (error / 0 if self.blow_up else error), {"mse": float(error.detach())}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        x = torch.linspace(-1, 1, 9)[:, None]
        return {"score": -float((model(x) - 2 * x - 1).abs().mean())}


SCHEDULE = Schedule(
    steps=300, batch=16, lr=0.05, warmup=10, ema=0.9, log_every=50, eval_every=100, bf16=False
)


def fresh() -> nn.Module:
    torch.manual_seed(3)
    return nn.Linear(1, 1)


def weights(model: nn.Module) -> list[float]:
    return [float(value) for parameter in model.parameters() for value in parameter.detach().flatten()]


def test_it_learns_and_logs(tmp_path: Path) -> None:
    model = fit(fresh(), Line(), SCHEDULE, tmp_path, seed=1)
    assert weights(model) == pytest.approx([2.0, 1.0], abs=0.05)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "val"] == [100, 200, 300]
    assert {"best.pt", "last.pt"} <= {path.name for path in tmp_path.iterdir()}


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = fit(fresh(), Line(), SCHEDULE, tmp_path / "whole", seed=1)
    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), Line(stop_at=150), SCHEDULE, tmp_path / "cut", seed=1)
    resumed = fit(fresh(), Line(), SCHEDULE, tmp_path / "cut", seed=1)
    assert weights(resumed) == weights(whole)


def test_a_diverged_loss_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"the loss is inf at step 0: .*lower the rate"):
        fit(fresh(), Line(blow_up=True), SCHEDULE, tmp_path, seed=1)


def test_an_error_in_a_batch_reaches_the_caller(tmp_path: Path) -> None:
    class Broken(Line):
        def batch(self, rng: np.random.Generator, size: int) -> Batch:
            raise RuntimeError("no such picture")

    with pytest.raises(RuntimeError, match="no such picture"):
        fit(fresh(), Broken(), SCHEDULE, tmp_path, seed=1)
