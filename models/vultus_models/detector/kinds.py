"""The detector networks that a recipe can name by `[model] kind`."""

from __future__ import annotations

from typing import Any, Protocol, cast

from torch import nn

from vultus.spec import ModelSpec
from vultus_models.detector import faceboxes, srn
from vultus_models.detector import network as plain

__all__ = ["KINDS", "network", "spec"]


class _Kind(Protocol):
    """A module with one detector network."""

    def network(self, config: dict[str, Any]) -> nn.Module:
        """Build the bare network of a recipe."""

    def spec(self, config: dict[str, Any]) -> ModelSpec:
        """Return the contract of the recipe's model."""


KINDS = {"plain": cast(_Kind, plain), "srn": cast(_Kind, srn), "faceboxes": cast(_Kind, faceboxes)}


def _kind(config: dict[str, Any]) -> _Kind:
    name = config.get("model", {}).get("kind", "plain")
    if name not in KINDS:
        raise ValueError(f"detector of kind {name!r} is unknown; expected one of {', '.join(KINDS)}")
    return KINDS[name]


def network(config: dict[str, Any]) -> nn.Module:
    """Build the bare network of a recipe."""
    return _kind(config).network(config)


def spec(config: dict[str, Any]) -> ModelSpec:
    """Return the contract of the recipe's model."""
    return _kind(config).spec(config)
