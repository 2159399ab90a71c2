"""Visible landmarks: all of a frontal face, the near side of a turned one; the loss forgives the others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vultus_models.face.augment import FLIP_68
from vultus_models.face.losses import losses
from vultus_models.face.visible import visible

LEFT, RIGHT, NOSE = slice(0, 6), slice(11, 17), slice(27, 31)

SEEN: list[tuple[float, tuple[float, float, float]]] = [
    (0.0, (1.0, 1.0, 1.0)),
    (float("nan"), (1.0, 1.0, 1.0)),
    (-70.0, (0.25, 1.0, 1.0)),
    (70.0, (1.0, 0.25, 1.0)),
    (-10.0, (1.0, 1.0, 1.0)),
]


@pytest.mark.parametrize(("yaw", "weights"), SEEN)
def test_the_far_side_weighs_less(yaw: float, weights: tuple[float, float, float]) -> None:
    found = visible(torch.tensor([yaw]), hidden=0.25)[0]
    means = [float(found[part].mean()) for part in (LEFT, RIGHT, NOSE)]
    assert means == pytest.approx(weights, abs=0.08)


@given(st.floats(-120, 120), st.floats(0, 1))
def test_mirrored_faces_see_the_mirrored_landmarks(yaw: float, hidden: float) -> None:
    one, other = visible(torch.tensor([yaw, -yaw]), hidden)
    torch.testing.assert_close(other, one[FLIP_68])
    assert hidden - 1e-6 <= float(one.min()) <= float(one.max()) <= 1 + 1e-6


@pytest.mark.parametrize(("yaw", "cheaper"), [(-0.8, True), (0.0, False), (0.8, False)])
def test_a_hidden_landmark_costs_less_only_when_it_is_hidden(yaw: float, cheaper: bool) -> None:
    marks = torch.zeros(1, 68, 2)
    out = marks.clone()
    out[0, 2] = 0.2  # at the left of the picture
    batch = {
        "landmarks": marks,
        "five": torch.full((1, 5, 2), torch.nan),
        "pose": torch.tensor([[yaw, 0, 0]]),
    }
    plain, aware = (
        float(losses({"landmarks": out.view(1, -1)}, batch, hidden=hidden)["landmarks"])
        for hidden in (1.0, 0.2)
    )
    assert (aware < 0.5 * plain) == cheaper
