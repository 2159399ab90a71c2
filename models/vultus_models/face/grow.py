"""Growth (Net2Net, Chen et al. 2016): a larger network that begins with what a smaller one has learnt.

The channels of the smaller network come first and do not read the new ones, so both give the same outputs at the
start; the new channels begin at random and are read as soon as the training finds a use for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vultus.errors import ModelError
from vultus_models.face.cache import Crops
from vultus_models.face.data import plain_pictures
from vultus_models.face.evaluation import prepared
from vultus_models.face.network import Block, HeadedNet
from vultus_models.training.begin import weights_of

__all__ = ["grow", "grown"]

Floats = npt.NDArray[np.float32]

HEADS = ("out.", "marks.", "turn.", *HeadedNet.training_only)

LOOKED_AT = 64
"""Faces of every set that the norms of a model file are measured on."""


def grown(network: HeadedNet, config: dict[str, Any], sets: Sequence[Crops]) -> HeadedNet:
    """Return the network, grown from the checkpoint or model file that the recipe's `[grown]` table names, if any.

    sets: what the training learns from. Raises ModelError when the file is not there or is not of a network of the same
    kind, smaller or of the same size.
    """
    if "grown" not in config:
        return network
    begun = Path(config["grown"]["checkpoint"])
    try:
        grow(network, weights_of(begun, network, partial(_pictures, sets)))
    except ValueError as error:
        raise ModelError(f"no growth from {begun}: {error}") from error
    return network


def _pictures(sets: Sequence[Crops]) -> Floats:
    seen = [plain_pictures(one, np.flatnonzero(~one.faces["val"])[:LOOKED_AT]) for one in sets]
    return prepared(torch.from_numpy(np.concatenate(seen))).contiguous().numpy()


@torch.no_grad()
def grow(network: nn.Module, smaller: dict[str, Tensor]) -> None:
    """Write the weights of a smaller network of the same kind into `network`, in place.

    A block that the smaller one lacks must keep its shape; it begins as the identity. Heads that one of the two lacks
    are left behind or begin at random. Raises ValueError when another weight of the smaller network has no larger
    counterpart, or the network has other weights that the smaller one lacks.
    """
    ours = network.state_dict()
    smaller = {name: weight for name, weight in smaller.items() if name in ours or not name.startswith(HEADS)}
    for name, weight in smaller.items():
        if name not in ours or not _holds(ours[name], weight):
            there = tuple(ours[name].shape) if name in ours else "no such weight"
            raise ValueError(f"{name} {tuple(weight.shape)} has no room in the larger network ({there})")
    new = _new_blocks(network, set(smaller))
    lacking = [name for name in ours if name not in smaller and not name.startswith((*new, *HEADS))]
    if lacking:
        raise ValueError(f"the smaller network lacks {', '.join(lacking)}")
    for name, weight in smaller.items():
        _put(ours[name], weight)
    for block in new.values():
        nn.init.zeros_(block.norm.weight)  # type: ignore[arg-type]


def _holds(larger: Tensor, smaller: Tensor) -> bool:
    kernels = larger.shape[2:] == smaller.shape[2:]
    return larger.ndim == smaller.ndim and kernels and all(map(int.__ge__, larger.shape, smaller.shape))


def _new_blocks(network: nn.Module, known: set[str]) -> dict[str, Block]:
    """Return the blocks that add to their input and of which the smaller network knows nothing, by name."""
    blocks = {f"{name}.": part for name, part in network.named_modules() if isinstance(part, Block)}
    return {
        name: block
        for name, block in blocks.items()
        if block.skip and not any(one.startswith(name) for one in known)
    }


def _put(larger: Tensor, smaller: Tensor) -> None:
    """Write a weight (outside, inside, ...) into the first rows and columns; these rows read nothing else."""
    if larger.ndim == 0:
        larger.copy_(smaller)
        return
    rows = larger[: len(smaller)]
    if larger.ndim == 1:
        rows.copy_(smaller)
        return
    rows.zero_()
    rows[:, : smaller.shape[1]] = smaller
