"""The face networks that a recipe can name by `[model] kind`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vultus.spec import ModelSpec
from vultus_models.face import heads, hmt, mobilenet, tree
from vultus_models.face import network as plain
from vultus_models.face.balance import balance_of
from vultus_models.face.losses import RULES
from vultus_models.face.network import HeadedNet, fold
from vultus_models.face.ridge import RidgeTask
from vultus_models.face.task import FaceTask

__all__ = ["KINDS", "Kind", "fold", "network", "spec", "task_of"]


@dataclass(frozen=True)
class Kind:
    """One kind of face network: what builds it, what teaches it, and what it is in words.

    description: empty for the network of the release, whose words its heads have.
    """

    network: Callable[[dict[str, Any]], HeadedNet]
    description: str = ""
    task: type[FaceTask] = FaceTask


KINDS = {
    "plain": Kind(plain.network),
    "hmt": Kind(
        hmt.HmtNet, "{heads} from one aligned face; easy tasks branch off early, attractiveness last"
    ),
    "tree": Kind(
        tree.TreeNet,
        "{heads} from one aligned face; the expression from the whole face, the eyes, the nose and the mouth",
    ),
    "mobilenet": Kind(
        mobilenet.MobileNet, "{heads} from one aligned face; MobileNet v1, a teacher of smaller ones"
    ),
    "ridge": Kind(
        plain.network,
        "{heads} from one aligned face; attractiveness by Bayesian ridge regression on features of other tasks",
        RidgeTask,
    ),
}


SOME_HEADS = "{heads} from one aligned face; plain 3x3 convolutions, one trunk"


def _kind(config: dict[str, Any]) -> Kind:
    name = config.get("model", {}).get("kind", "plain")
    if name not in KINDS:
        raise ValueError(f"face network of kind {name!r} is unknown; expected one of {', '.join(KINDS)}")
    return KINDS[name]


def network(config: dict[str, Any]) -> HeadedNet:
    """Build the network of a recipe, untrained; raises ValueError for one that there is not."""
    made = _kind(config).network(config)
    made.balance = balance_of(config, RULES)
    return made


def task_of(config: dict[str, Any]) -> type[FaceTask]:
    """Return what teaches the network of a recipe."""
    return _kind(config).task


def spec(config: dict[str, Any]) -> ModelSpec:
    """Return the contract that an exported network of this recipe carries."""
    contract, words = heads.spec(config), _kind(config).description
    if not words:
        if "heads" not in config.get("model", {}):
            return contract
        words = SOME_HEADS
    named = ", ".join(head.field.replace("_", " ") for head in contract.heads)
    description = words.format(heads=named[:1].upper() + named[1:])
    source = str(config.get("source", f"trained from scratch with the recipe {contract.name}"))
    return replace(contract, description=description, source=source)
