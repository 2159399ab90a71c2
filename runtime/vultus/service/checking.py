"""A configuration held against what is on the disk: the models that it names, and the places of its outputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vultus.errors import VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.service.config import Config, ConfigError, Output, Problem
from vultus.service.lines import line_of
from vultus.service.models import MissingModel, model_files
from vultus.service.places import below, places
from vultus.service.reading import read_config

__all__ = ["check_outputs", "checked_config"]


def checked_config(file: Path, root: Path = Path("/")) -> Config:
    """Read a configuration and look at the models that it names, below a root.

    Raises ConfigError with every problem found.
    """
    config = read_config(file)
    try:
        models = model_files(config, root)
    except MissingModel as error:
        raise ConfigError(str(file), [_problem(file, error.key.split("."), str(error))]) from error
    found = [
        _problem(file, key.split("."), said)
        for key, path in zip(("models.detector", "models.face"), models, strict=False)
        if (said := _refusal(key, path))
    ]
    if found:
        raise ConfigError(str(file), found)
    return config


def check_outputs(file: Path, config: Config, root: Path = Path("/")) -> None:
    """Look at the places of the outputs, and make nothing there: the service may start later, and elsewhere.

    Raises ConfigError with every output that could not be opened, as far as this user can tell.
    """
    found = [
        _problem(file, ("output", number, "path"), said)
        for number, output in enumerate(config.output)
        if (said := _hindrance(output, root))
    ]
    if found:
        raise ConfigError(str(file), found)


def _hindrance(output: Output, root: Path) -> str:
    """Return why an output cannot be opened, empty where nothing is in its way."""
    path, where = below(root, output.path), places(root)
    if os.path.isdir(path):
        return f"{path} is a folder; name a file in it"
    if path.parent in (where.state, where.runtime):
        return ""  # systemd makes them, for the service alone
    if not os.path.isdir(path.parent):
        return f"there is no folder {path.parent}; make it first"
    # Who may write below another root is told by the users of that root.
    return _refusal_to_write(path, output.kind) if root == Path("/") else ""


def _refusal_to_write(path: Path, kind: str) -> str:
    """Return why this user cannot write to a path in a folder that is there."""
    other = "name another, or ask as the user of the service"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"the folder {path.parent} cannot be written by this user; {other}"
    if kind == "socket" and path.exists() and not path.is_socket():
        return f"{path} is there already and is no socket; name another path, or remove it"
    if kind == "jsonlines" and path.exists() and not os.access(path, os.W_OK):
        return f"{path} cannot be written by this user; {other}"
    return ""


def _problem(file: Path, place: Sequence[str | int], said: str) -> Problem:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return Problem(line_of(file.read_text(encoding="utf-8"), place), key, said)


def _refusal(key: str, path: Path) -> str:
    """Return why a model file does not do what it is named for, empty when it does."""
    try:
        detects = spec_from_onnx(path).detector is not None
    except VultusError as error:
        return str(error)
    if detects == (key == "models.detector"):
        return ""
    return f"{path.name} is a {'detector' if detects else 'face network'}; name it in the other key"
