"""Published weights of MTCNN, as the package facenet-pytorch holds them, turned into those of our networks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vultus.errors import ModelError
from vultus_models.mtcnn.networks import ONet, PNet, RNet

__all__ = ["MEMBERS", "network_from"]

State = dict[str, Tensor]

MEMBERS: dict[str, type[nn.Module]] = {"pnet": PNet, "rnet": RNet, "onet": ONet}
"""Name of a network in the package -> our network."""

LAYERS = {
    "pnet": ("conv1", "conv2", "conv3"),
    "rnet": ("conv1", "conv2", "conv3", "dense4"),
    "onet": ("conv1", "conv2", "conv3", "conv4", "dense5"),
}
HEADS = {
    "pnet": {"logit": "conv4_1", "box": "conv4_2"},
    "rnet": {"logit": "dense5_1", "box": "dense5_2"},
    "onet": {"logit": "dense6_1", "box": "dense6_2", "points": "dense6_3"},
}
GRID = 3
"""Rows and columns of the last map of the two networks that judge crops."""


def network_from(member: str, state: Mapping[str, Tensor]) -> nn.Module:
    """Return our network with the weights of the package's network of that name.

    Three things are put in another form that gives the same answers: the two class scores become the logit of
    their softmax, the dense layer reads the map by channel, row, column instead of column, row, channel, and the
    points come as pairs instead of all x first. Raises ModelError when the weights are not those of that network.
    """
    network = MEMBERS[member]()
    left = dict(state)
    try:
        own = _trunk(network, LAYERS[member], left) | _heads(member, left)
        network.load_state_dict(own)
    except (KeyError, RuntimeError, IndexError) as error:
        raise ModelError(f"the weights are not those of MTCNN's {member}: {error}") from error
    if left:
        raise ModelError(f"the weights hold more than MTCNN's {member}: {', '.join(sorted(left))}")
    return network.eval().requires_grad_(False)


def _trunk(network: nn.Module, layers: tuple[str, ...], left: State) -> State:
    """Return the trunk's weights, taken out of `left`: each layer and the activation that follows it."""
    trunk = network.get_submodule("trunk")
    places = [name for name, child in trunk.named_children() if isinstance(child, (nn.Conv2d, nn.Linear))]
    own: State = {}
    for place, layer in zip(places, layers, strict=True):
        weight = left.pop(f"{layer}.weight")
        own[f"trunk.{place}.weight"] = _by_channel(weight) if layer.startswith("dense") else weight
        own[f"trunk.{place}.bias"] = left.pop(f"{layer}.bias")
        own[f"trunk.{int(place) + 1}.weight"] = left.pop(f"prelu{layer[-1]}.weight")
    return own


def _heads(member: str, left: State) -> State:
    """Return the heads' weights, taken out of `left`."""
    own: State = {}
    for name, layer in HEADS[member].items():
        place = name if member == "pnet" else f"heads.{name}"
        for kind in ("weight", "bias"):
            own[f"{place}.{kind}"] = _FORMS.get(name, torch.clone)(left.pop(f"{layer}.{kind}"))
    return own


def _by_channel(weight: Tensor) -> Tensor:
    """Return a dense layer's weights (n, columns * rows * channels) for a map read by channel, row, column."""
    grid = weight.reshape(len(weight), GRID, GRID, -1)
    return grid.permute(0, 3, 2, 1).reshape(len(weight), -1)


def _difference(values: Tensor) -> Tensor:
    """Return what makes the logit of the second of two classes under a softmax."""
    return values[1:2] - values[0:1]


def _pairs(values: Tensor) -> Tensor:
    """Return rows x0 ... x4, y0 ... y4 as x0, y0 ... x4, y4."""
    return values.reshape(2, 5, *values.shape[1:]).transpose(0, 1).reshape(values.shape)


_FORMS = {"logit": _difference, "points": _pairs}
