"""The end of a run: its best weights as a model file that answers as PyTorch does, and a card that says what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from vultus.errors import ModelError
from vultus_models.training.card import run_card

__all__ = ["finish"]

STOPPED = 130


def finish(config: Path, system: Any, recipe: dict[str, Any], data: Path, run: Path) -> Path:
    """Export `run/best.pt` to `run/NAME.onnx`, write the card `run/NAME.md` and return the model file.

    system: the module of the recipe's system. The export is the command `vultus-export onnx`, in a process of its
    own because no model knows the exporter; its parity gate decides whether there is a file at all. Raises ModelError
    when there is none, and KeyboardInterrupt when it was stopped.
    """
    out = run / f"{system.spec(recipe).name}.onnx"
    command = ["onnx", str(config), "--checkpoint", str(run / "best.pt"), "--out", str(out)]
    code = subprocess.run([sys.executable, "-m", "vultus_export.cli", *command], check=False).returncode
    if code == STOPPED:
        raise KeyboardInterrupt
    if code:
        raise ModelError(
            f"the training in {run} is done, but its export ended with {code} for the reason above, so there is no new "
            f"{out.name}; once that is mended, the same command exports again without training"
        )
    card = run_card(config, system, recipe, data, run, out)
    half = out.with_suffix(".md.part")
    half.write_text(card, encoding="utf-8")
    os.replace(half, out.with_suffix(".md"))
    return out
