"""The models that come with the package, each with its card beside it."""

from __future__ import annotations

import json
from pathlib import Path

from vultus.errors import ModelError

__all__ = ["card_of", "default_models", "find_model", "installed_models"]

ZOO = Path(__file__).parent


def default_models() -> list[Path]:
    """Return the model files that an Analyzer uses when none are named: `default.json` says which."""
    return [ZOO / name for name in json.loads((ZOO / "default.json").read_text(encoding="utf-8"))["models"]]


def installed_models() -> list[Path]:
    """Return every model file of the package, sorted by name."""
    return sorted(ZOO.glob("*.onnx"))


def find_model(file: str | Path) -> Path:
    """Return the file, or the installed model of that name (`vultus-det-s`); raises ModelError for neither."""
    path = Path(file)
    named = {model.stem: model for model in installed_models()}
    if path.exists():
        return path
    if str(file) not in named:
        raise ModelError(f"there is no model file {file}; installed models: {', '.join(named) or 'none'}")
    return named[str(file)]


def card_of(model: Path) -> Path | None:
    """Return the card of a model file, or None where there is none beside it."""
    card = model.with_suffix(".md")
    return card if card.is_file() else None
