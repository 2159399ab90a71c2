"""Published weights in our networks: the same answers, and weights that are not those of the network."""

from __future__ import annotations

import pytest
import torch

import mtcnn_reference
from vultus.errors import ModelError
from vultus_models.mtcnn.weights import network_from


@pytest.mark.parametrize(
    ("member", "height", "width"),
    [("pnet", 12, 12), ("pnet", 13, 40), ("pnet", 37, 26), ("rnet", 24, 24), ("onet", 48, 48)],
)
def test_networks_answer_as_the_published_ones(member: str, height: int, width: int) -> None:
    state = mtcnn_reference.random_states(3)[member]
    images = torch.rand(4, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    outputs = network_from(member, state)(images)
    score, moves, *points = mtcnn_reference.run(member, state, images)
    torch.testing.assert_close(outputs["logit"].sigmoid().flatten(), score.flatten(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs["box"], moves, rtol=1e-4, atol=1e-5)
    if points:
        pairs = torch.stack([points[0][:, :5], points[0][:, 5:]], dim=2).flatten(1)
        torch.testing.assert_close(outputs["points"], pairs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("conv2.weight", None, "not those of MTCNN's rnet.*conv2.weight"),
        ("dense5_2.weight", torch.zeros(5, 128), "not those of MTCNN's rnet.*heads.box.weight"),
        ("extra", torch.zeros(1), "hold more than MTCNN's rnet: extra"),
    ],
)
def test_other_weights_are_refused(name: str, value: torch.Tensor | None, words: str) -> None:
    state = dict(mtcnn_reference.random_states(3)["rnet"])
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(ModelError, match=f"(?s){words}"):
        network_from("rnet", state)
