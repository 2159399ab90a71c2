"""Weights from a checkpoint into a module, all of them or none."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vultus.errors import ModelError

__all__ = ["load_checkpoint", "read_weights"]

NAMED = 4
WRAPPERS = ("model", "state_dict")
"""Keys under which training loops store the weights."""


def load_checkpoint(module: nn.Module, path: Path) -> None:
    """Load the weights of a checkpoint into `module`; raises ModelError unless every key fits."""
    weights = read_weights(path)
    misfits = _misfits(module.state_dict(), weights)
    if misfits:
        kind = type(module).__name__
        raise ModelError(
            f"{path} does not fit the network {kind}: {'; '.join(misfits)}. "
            "Use the recipe that the checkpoint was trained with"
        )
    module.load_state_dict(weights)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a checkpoint: tensors alone, read without running any code of the file."""
    if not path.is_file():
        raise ModelError(f"there is no checkpoint {path}; train the model first or name the right file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle protocols; what cannot be read raises
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is not a checkpoint of tensors alone, and nothing else is read: {_first_line(error)}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is not a checkpoint, or it is damaged: {_first_line(error)}") from error
    return _state_dict(stored, path)


def _state_dict(stored: Any, path: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(stored, Mapping) and isinstance(stored.get(key), Mapping):
            stored = stored[key]
            break
    if not isinstance(stored, Mapping) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise ModelError(
            f"{path} holds no state dict; expected one by itself or under {' or '.join(map(repr, WRAPPERS))}"
        )
    return dict(stored)


def _misfits(wanted: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> list[str]:
    shared = wanted.keys() & got.keys()
    shapes = (
        f"{key} is {tuple(got[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in sorted(shared)
        if got[key].shape != wanted[key].shape
    )
    found = {
        "missing": sorted(wanted.keys() - got.keys()),
        "unexpected": sorted(got.keys() - wanted.keys()),
        "of another shape": list(shapes),
    }
    return [f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in found.items() if keys]


def _some(keys: Iterable[str]) -> str:
    listed = list(keys)
    return ", ".join(listed[:NAMED]) + (", ..." if len(listed) > NAMED else "")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
