"""Losses of the face network: masked labels, right minima, and gradients that stay in their heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vultus_models.face.group_age import GroupAge
from vultus_models.face.heads import heads, outputs_of
from vultus_models.face.labels import five_from_68
from vultus_models.face.losses import five_of, losses, wing

CODE = GroupAge()
LABELLED: dict[str, tuple[str, Any]] = {
    "landmarks": ("landmarks", torch.zeros(68, 2) + 0.3),
    "five": ("landmarks", torch.zeros(5, 2) + 0.3),
    "pose": ("pose", torch.tensor([0.2, 0.1, -0.1])),
    "age": ("age", torch.tensor(31.0)),
    "gender": ("gender", torch.tensor(1)),
    "ethnicity": ("ethnicity", torch.tensor(2)),
    "expression": ("expression", torch.tensor(3)),
    "smile": ("smile", torch.tensor(1.0)),
    "attractiveness": ("attractiveness", torch.tensor(0.7)),
    "eyeglasses": ("eyeglasses", torch.tensor(1.0)),
    "facial_hair": ("facial_hair", torch.tensor([1.0, 0, 0, 1, 0])),
    "attractive": ("auxiliary", torch.tensor(1.0)),
}
"""Label -> (the output that learns from it, one value)."""


def unlabelled(size: int = 3) -> dict[str, Tensor]:
    """A batch in which no label is known."""
    batch = {}
    for name, (_, value) in LABELLED.items():
        whole = value.dtype == torch.int64
        batch[name] = torch.full((size, *value.shape), -1 if whole else float("nan"), dtype=value.dtype)
    return batch


def outputs(size: int = 3) -> dict[str, Tensor]:
    """Random outputs that gradients flow back to."""
    torch.manual_seed(0)
    made = {h.output: torch.randn(size, outputs_of(h), requires_grad=True) for h in heads({})}
    return {**made, "auxiliary": torch.randn(size, 1, requires_grad=True)}


def test_faces_without_labels_cost_nothing() -> None:
    assert all(value.item() == 0 for value in losses(outputs(), unlabelled(), CODE).values())


@pytest.mark.parametrize("label", LABELLED)
def test_a_label_teaches_its_own_head_and_its_own_face(label: str) -> None:
    out, batch = outputs(), unlabelled()
    head, value = LABELLED[label]
    batch[label][1] = value
    sum(losses(out, batch, CODE).values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    moved = {name for name, part in out.items() if part.grad is not None and bool(part.grad.abs().sum() > 0)}
    assert moved == {head}
    gradient = out[head].grad
    assert gradient is not None
    assert bool((gradient[[0, 2]] == 0).all())


@pytest.mark.parametrize("label", LABELLED)
def test_descending_a_loss_lowers_it(label: str) -> None:
    out, batch = outputs(), unlabelled()
    head, value = LABELLED[label]
    batch[label][:] = value
    optimiser = torch.optim.Adam([out[head]], lr=0.05)
    first = sum(losses(out, batch, CODE).values(), torch.zeros(())).item()
    for _ in range(40):
        optimiser.zero_grad()
        total = sum(losses(out, batch, CODE).values(), torch.zeros(()))
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert total.item() < 0.8 * first


def test_wing_is_smooth_where_its_parts_meet() -> None:
    width = 0.06
    below, above = wing(torch.tensor([width - 1e-6, width + 1e-6]), width)
    assert below.item() == pytest.approx(above.item(), abs=1e-5)
    assert wing(torch.zeros(1)).item() == 0


def test_five_points_are_taken_from_landmarks_as_the_labels_do() -> None:
    marks = np.random.default_rng(0).normal(size=(4, 68, 2))
    np.testing.assert_allclose(five_of(torch.from_numpy(marks)).numpy(), five_from_68(marks), rtol=1e-12)
