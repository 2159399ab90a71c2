"""Balance of the tasks by uncertainty (Kendall, Gal and Cipolla 2018): what a task weighs is learnt with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Balance", "balance_of"]


class Balance(nn.Module):
    """One log variance s a loss L: the training minimises exp(-s) L + s, so an uncertain task weighs less.

    They begin at 0, where a loss weighs what the recipe says. They are part of the network for the training alone.
    """

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.logs = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in names})

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the balanced sum of losses; one that no face of the batch has counts for nothing."""
        known = {name: loss for name, loss in losses.items() if float(loss.detach()) > 0}
        terms = [torch.exp(-self.logs[name]) * loss + self.logs[name] for name, loss in known.items()]
        return torch.stack(terms).sum() if terms else torch.zeros((), requires_grad=True)


def balance_of(config: Mapping[str, Any], names: Iterable[str]) -> Balance | None:
    """Return what balances the losses, for a recipe with a table `[balance]`; raises ValueError for another kind."""
    if "balance" not in config:
        return None
    kind = config["balance"].get("kind")
    if kind != "uncertainty":
        raise ValueError(f"[balance] kind is {kind!r}; expected 'uncertainty', or leave the table out")
    return Balance(names)
