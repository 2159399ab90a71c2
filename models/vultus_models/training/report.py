"""What a run says of itself: JSON Lines, TensorBoard events and a progress line."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

__all__ = ["Reporter", "commit_of_code"]


def commit_of_code() -> str:
    """Return the commit of the code that runs, with "-dirty" when tracked files differ; "unknown" outside of git."""
    here = Path(__file__)
    tracked, head, changes = (
        ["ls-files", "--error-unmatch", here.name],
        ["rev-parse", "HEAD"],
        ["status", "--porcelain", "--untracked-files=no"],
    )
    try:
        _, commit, changed = (
            subprocess.run(["git", "-C", str(here.parent), *one], capture_output=True, text=True, check=True)
            for one in (tracked, head, changes)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")


class Reporter:
    """Writes each report to `run/log.jsonl`, to TensorBoard and as one line to the console."""

    def __init__(
        self, run: Path, steps: int, start: int, listener: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self._log = (run / "log.jsonl").open("a", encoding="utf-8")
        # Exporting a recipe imports this module too, and needs no TensorBoard.
        from torch.utils.tensorboard import SummaryWriter

        self._board = SummaryWriter(str(run / "events"))
        self._console = Console(stderr=True, width=160)
        self._steps, self._start, self._began = steps, start, time.monotonic()
        self._listener = listener

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        self._board.close()

    def start(self, seed: int) -> None:
        """Log that a part of the run begins: from which step, with which seed and code."""
        self._log_line({"kind": "start", "step": self._start, "seed": seed, "commit": commit_of_code()})

    def train(self, step: int, parts: dict[str, float], rate: float) -> None:
        """Report the losses of one step."""
        elapsed = time.monotonic() - self._began
        left = elapsed / max(1, step - self._start) * (self._steps - step)
        self._write("train", step, {**parts, "lr": rate, "minutes_left": left / 60})

    def evaluation(self, step: int, measured: dict[str, float], best: bool) -> None:
        """Report an evaluation on the validation split."""
        self._write("val", step, {**measured, "best": float(best)})

    def completion(self, step: int, figures: dict[str, float]) -> None:
        """Report what was done to the best weights after the training."""
        self._write("complete", step, figures)

    def _write(self, kind: str, step: int, values: dict[str, float]) -> None:
        record = {
            "kind": kind,
            "step": step,
            **{name: _plain(float(value)) for name, value in values.items()},
        }
        self._log_line(record)
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)
        shown = " ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._console.print(f"{kind} {step}/{self._steps} {shown}", highlight=False, soft_wrap=True)
        if self._listener:
            self._listener(record)

    def _log_line(self, record: dict[str, Any]) -> None:
        self._log.write(json.dumps(record) + "\n")
        self._log.flush()


def _plain(value: float) -> float | None:
    """Return a number as JSON has it: None where it is none, such as the error of faces that were not found."""
    return round(value, 6) if math.isfinite(value) else None
