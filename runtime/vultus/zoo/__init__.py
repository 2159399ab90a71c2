"""The models that come with the package, each with its card beside it."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["card_of", "default_models", "installed_models"]

ZOO = Path(__file__).parent


def default_models() -> list[Path]:
    """Return the model files that an Analyzer uses when none are named: `default.json` says which."""
    return [ZOO / name for name in json.loads((ZOO / "default.json").read_text(encoding="utf-8"))["models"]]


def installed_models() -> list[Path]:
    """Return every model file of the package, sorted by name."""
    return sorted(ZOO.glob("*.onnx"))


def card_of(model: Path) -> Path | None:
    """Return the card of a model file, or None where there is none beside it."""
    card = model.with_suffix(".md")
    return card if card.is_file() else None
