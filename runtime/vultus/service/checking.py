"""A configuration held against what is on the disk: are the models there that it names, and of the right kind?"""

from __future__ import annotations

from pathlib import Path

from vultus.errors import VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.service.config import Config, ConfigError, Problem
from vultus.service.lines import line_of
from vultus.service.models import MissingModel, model_files
from vultus.service.reading import read_config

__all__ = ["checked_config"]


def checked_config(file: Path, root: Path = Path("/")) -> Config:
    """Read a configuration and look at the models that it names, below a root.

    Raises ConfigError with every problem found.
    """
    config = read_config(file)
    try:
        models = model_files(config, root)
    except MissingModel as error:
        raise ConfigError(str(file), [_problem(file, error.key, str(error))]) from error
    found = [
        _problem(file, key, said)
        for key, path in zip(("models.detector", "models.face"), models, strict=False)
        if (said := _refusal(key, path))
    ]
    if found:
        raise ConfigError(str(file), found)
    return config


def _problem(file: Path, key: str, said: str) -> Problem:
    return Problem(line_of(file.read_text(encoding="utf-8"), key.split(".")), key, said)


def _refusal(key: str, path: Path) -> str:
    """Return why a model file does not do what it is named for, empty when it does."""
    try:
        detects = spec_from_onnx(path).detector is not None
    except VultusError as error:
        return str(error)
    if detects == (key == "models.detector"):
        return ""
    return f"{path.name} is a {'detector' if detects else 'face network'}; name it in the other key"
