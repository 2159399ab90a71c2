"""What a result must say of itself: which code, which models, which precision."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.zoo import default_models, find_model, installed_models

__all__ = [
    "REPOSITORY",
    "choose_models",
    "commit_of",
    "joined_precision",
    "write_json",
]

REPOSITORY = Path(__file__).resolve().parents[2]


def commit_of(folder: Path = REPOSITORY) -> str | None:
    """Return the commit of a checkout, with "-dirty" when tracked files differ; None outside of git."""
    commands = (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    try:
        head, changes = (
            subprocess.run(
                ["git", "-C", str(folder), *command], capture_output=True, text=True, check=True
            ).stdout
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.strip() + ("-dirty" if changes.strip() else "")


def choose_models(files: Sequence[Path], precision: str | None) -> list[Path]:
    """Return the models to measure: the files or installed names given, else the default ones at a precision.

    Raises ModelError when a file is of another precision than asked, or none of that precision is installed.
    """
    if files:
        files = [find_model(file) for file in files]
        for path in files:
            found = spec_from_onnx(path).precision
            if precision and found != precision:
                raise ModelError(f"{path} is of precision {found}, not {precision}; leave --precision out")
        return files
    defaults = default_models()
    if precision is None:
        return defaults
    return [_of_precision(path, precision) for path in defaults]


def _of_precision(default: Path, precision: str) -> Path:
    """Return the installed model that is `default` at another precision."""
    base = spec_from_onnx(default)
    if base.precision == precision:
        return default
    fitting = [path for path in installed_models() if _is_variant(path, base.name, base.task, precision)]
    if not fitting:
        raise ModelError(
            f"no installed model is {base.name} at {precision}; build one or name it with --models"
        )
    return min(fitting, key=lambda path: len(path.name))


def _is_variant(path: Path, name: str, task: str, precision: str) -> bool:
    spec = spec_from_onnx(path)
    return spec.task == task and spec.precision == precision and spec.name.startswith(name)


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all: into a file beside it that then takes its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def joined_precision(models: Iterable[dict[str, Any]]) -> str:
    """Return the precision of all models, or each model's when they differ."""
    each = [model["precision"] for model in models]
    return each[0] if len(set(each)) == 1 else "+".join(each)
