"""One training loop for every system: AdamW, cosine rate, EMA, bf16 autocast, checkpoints that resume.

A run is a folder: `last.pt` (everything to go on from), `best.pt` (EMA weights of the best evaluation),
`log.jsonl` (one line a report) and TensorBoard events. The same config, data and seed give the same batches,
also across an interruption, because batch k of a run is drawn from the seed (seed, k).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vultus.errors import ModelError
from vultus_models.training.ahead import made_ahead
from vultus_models.training.checkpoint import fitting, load_weights, read_checkpoint, write_checkpoint
from vultus_models.training.report import Reporter

__all__ = ["Batch", "Schedule", "Task", "fit"]

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    lr is the peak rate: linear warm-up over `warmup` steps, then a cosine down to a hundredth of it.
    ema: decay of the averaged weights that are evaluated and released. eval_every: steps between evaluations.
    """

    steps: int
    batch: int
    lr: float
    warmup: int = 200
    weight_decay: float = 1e-4
    ema: float = 0.999
    clip: float = 5.0
    log_every: int = 50
    eval_every: int = 1000
    threads: int = 1
    bf16: bool = True


class Task(Protocol):
    """What a system gives to the loop."""

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw one training batch; called in a thread of its own."""

    def pictures(self, batch: Batch) -> Tensor:
        """Return the network input (n, 3, height, width) of a batch."""

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return the loss to minimise and its parts for the log; runs under autocast when asked for."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measure the model on the validation split; `score` (higher is better) picks the best."""

    def complete(self, model: nn.Module, seed: int) -> dict[str, float]:
        """Change in place what comes after the training of the best weights; return figures of it, none if nothing."""


@dataclass
class _State:
    model: nn.Module
    averaged: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: float = float("-inf")
    judged: int = 0  # the step of the last evaluation


def fit(
    model: nn.Module,
    task: Task,
    schedule: Schedule,
    run: Path,
    seed: int,
    on_report: Callable[[dict[str, Any]], None] | None = None,
) -> nn.Module:
    """Train `model` on `task` and return it with the best averaged weights.

    Resumes from `run/last.pt` when it is there; a run that is finished is left as it is. Ctrl-C saves the state first.
    """
    run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(schedule.threads)
    torch.manual_seed(seed)
    state = _start(model, schedule)
    _resume(state, run)
    if state.step < schedule.steps or _due(state, schedule):
        with Reporter(run, schedule.steps, state.step, on_report) as reporter:
            reporter.start(seed)
            try:
                with _quick_zeros():
                    _train(state, task, schedule, run, seed, reporter)
            except KeyboardInterrupt:
                _save(state, run)
                raise
    load_weights(model, run / "best.pt")
    _complete(model, task, schedule, run, seed, on_report)
    return model


@contextmanager
def _quick_zeros() -> Iterator[None]:
    """Take the tiniest numbers for 0 meanwhile: momenta of dead units shrink to some that are slow to multiply."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)  # the caller's own numbers are none of ours


def _complete(
    model: nn.Module,
    task: Task,
    schedule: Schedule,
    run: Path,
    seed: int,
    on_report: Callable[[dict[str, Any]], None] | None,
) -> None:
    """Let the task finish the best weights, once; raises ModelError when it cannot."""
    stored = read_checkpoint(run / "best.pt")
    if stored.get("complete"):
        return
    try:
        figures = task.complete(model, seed)
    except ValueError as error:
        raise ModelError(f"the training in {run} is done, but not what comes after it: {error}") from error
    if figures:
        with Reporter(run, schedule.steps, stored["step"], on_report) as reporter:
            reporter.completion(stored["step"], figures)
    write_checkpoint({**stored, "model": model.state_dict(), "complete": True}, run / "best.pt")


def _start(model: nn.Module, schedule: Schedule) -> _State:
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decay, "weight_decay": schedule.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    return _State(model, averaged, torch.optim.AdamW(groups, lr=schedule.lr, fused=True))


def _resume(state: _State, run: Path) -> None:
    if not (run / "last.pt").exists():
        return
    stored = read_checkpoint(run / "last.pt")
    with fitting(run / "last.pt"):
        state.model.load_state_dict(stored["trained"])
        state.averaged.load_state_dict(stored["model"])
        state.optimiser.load_state_dict(stored["optimiser"])
    state.step, state.best = stored["step"], stored["best"]
    state.judged = stored.get("judged", state.step)


def _save(state: _State, run: Path) -> None:
    stored = {
        "model": state.averaged.state_dict(),
        "step": state.step,
        "best": state.best,
        "judged": state.judged,
        "trained": state.model.state_dict(),
        "optimiser": state.optimiser.state_dict(),
    }
    write_checkpoint(stored, run / "last.pt")


def _train(state: _State, task: Task, schedule: Schedule, run: Path, seed: int, reporter: Reporter) -> None:
    if _due(state, schedule):  # the interruption came between a step and its evaluation
        _evaluate(state, task, run, reporter)
    state.model.train()

    def make(step: int) -> Batch:
        return task.batch(np.random.default_rng((seed, step)), schedule.batch)

    for batch in made_ahead(make, state.step, schedule.steps):
        parts = _step(state, task, schedule, batch)
        state.step += 1
        if state.step % schedule.log_every == 0:
            reporter.train(state.step, parts, state.optimiser.param_groups[0]["lr"])
        if _due(state, schedule):
            _evaluate(state, task, run, reporter)
            state.model.train()


def _due(state: _State, schedule: Schedule) -> bool:
    """Say whether the step that was done last is to be evaluated and has not been."""
    chosen = state.step % schedule.eval_every == 0 or state.step == schedule.steps
    return chosen and state.judged < state.step


def _step(state: _State, task: Task, schedule: Schedule, batch: Batch) -> dict[str, float]:
    for group in state.optimiser.param_groups:
        group["lr"] = schedule.lr * _rate(state.step, schedule)
    with torch.autocast("cpu", torch.bfloat16, enabled=schedule.bf16):
        loss, parts = task.loss(state.model, batch)
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()} at step {state.step}: {parts}; lower the rate")
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.model.parameters(), schedule.clip)
    state.optimiser.step()
    _average(state, min(schedule.ema, (1 + state.step) / (10 + state.step)))
    return {"loss": float(loss.detach()), **parts}


def _rate(step: int, schedule: Schedule) -> float:
    """Return the share of the peak rate at a step."""
    if step < schedule.warmup:
        return (step + 1) / schedule.warmup
    done = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * min(1.0, done))))


@torch.no_grad()
def _average(state: _State, decay: float) -> None:
    pairs = zip(state.averaged.state_dict().values(), state.model.state_dict().values(), strict=True)
    for kept, new in pairs:
        if kept.dtype.is_floating_point:
            kept.lerp_(new.to(kept.dtype), 1 - decay)
        else:
            kept.copy_(new)


def _evaluate(state: _State, task: Task, run: Path, reporter: Reporter) -> None:
    with torch.no_grad():
        measured = task.evaluate(state.averaged.eval())
    score, better = measured["score"], measured["score"] > state.best
    reporter.evaluation(state.step, measured, better)
    if better:
        write_checkpoint(
            {"model": state.averaged.state_dict(), "step": state.step, "best": score}, run / "best.pt"
        )
    # Only now: what is interrupted before is evaluated again.
    state.best, state.judged = max(state.best, score), state.step
    _save(state, run)
