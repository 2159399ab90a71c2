"""Checkpoints of runs: read as tensors alone, and refused with a reason where they do not fit."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vultus.errors import ModelError

__all__ = ["fitting", "load_weights", "read_checkpoint", "write_checkpoint"]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what a run has stored; "model" are its averaged weights. Raises ModelError unless it is a checkpoint."""
    if not path.is_file():
        raise ModelError(f"the checkpoint {path} is not there; train its recipe first or name the right file")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path} is not a checkpoint of a run, or it is damaged") from error
    if not isinstance(stored, dict) or "model" not in stored:
        raise ModelError(f"{path} holds no weights of a run; give best.pt or last.pt of one")
    return stored


def write_checkpoint(stored: dict[str, Any], path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    temporary = path.with_suffix(".tmp")
    try:
        torch.save(stored, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Load the released (averaged) weights of a checkpoint into a model; raises ModelError unless they fit."""
    stored = read_checkpoint(checkpoint)
    with fitting(checkpoint):
        model.load_state_dict(stored["model"])


@contextmanager
def fitting(checkpoint: Path) -> Iterator[None]:
    """Turn a misfit of weights and network into ModelError."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"{checkpoint} does not fit the network of this recipe; use the recipe that it was trained with, or "
            f"another folder for the run. {error}"
        ) from error
