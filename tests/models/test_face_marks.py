"""Landmarks out of heat maps: where they may lie, how they follow the picture, that they learn a place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vultus_models.face.marks import Marks

SIDE, WIDTHS, CHANNELS, COUNT = 14, (6, 10), 8, 5


def made() -> Marks:
    """Return an untrained head."""
    torch.manual_seed(4)
    return Marks(WIDTHS, SIDE, CHANNELS, COUNT).eval()


def maps(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return maps of two crops with something in the middle and nothing around it."""
    random = torch.Generator().manual_seed(seed)
    fine, coarse = torch.zeros(2, WIDTHS[0], SIDE, SIDE), torch.zeros(2, WIDTHS[1], SIDE // 2, SIDE // 2)
    fine[:, :, 5:9, 5:9] = 9 * torch.randn(2, WIDTHS[0], 4, 4, generator=random)
    coarse[:, :, 2:4, 2:4] = 9 * torch.randn(2, WIDTHS[1], 2, 2, generator=random)
    return fine, coarse


def test_places_are_within_the_crop_whatever_the_maps_hold() -> None:
    head = made()
    for scale in (0.0, 1.0, 1e4):
        fine, coarse = maps()
        places = head(scale * fine, scale * coarse)
        assert places.shape == (2, 2 * COUNT)
        assert (places.abs() <= 0.5 - 0.5 / SIDE + 1e-6).all()


def test_even_heat_is_the_middle_of_the_crop() -> None:
    head = made()
    torch.nn.init.zeros_(head.heat.weight)
    torch.testing.assert_close(head(*maps()), torch.zeros(2, 2 * COUNT), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("down", "right"), [(2, 0), (0, 2), (-2, 2)])
def test_what_moves_in_the_maps_moves_the_heat_as_far(down: int, right: int) -> None:
    head, (fine, coarse) = made(), maps()
    seen: list[Tensor] = []
    head.heat.register_forward_hook(lambda module, given, out: seen.append(out))
    head(fine, coarse)
    head(fine.roll((down, right), (2, 3)), coarse.roll((down // 2, right // 2), (2, 3)))
    inner = slice(4, 10)  # away from the border, whose padding stays where it is
    moved = seen[0].roll((down, right), (2, 3))
    torch.testing.assert_close(seen[1][:, :, inner, inner], moved[:, :, inner, inner])


def test_a_hot_cell_is_the_place_of_its_centre_x_first() -> None:
    head, (fine, coarse) = made(), maps()
    heat = torch.full((2, COUNT, SIDE, SIDE), -50.0)
    heat[:, :, 3, 11] = 50.0
    head.heat.register_forward_hook(lambda module, given, out: heat)
    expected = torch.tensor([(11 + 0.5) / SIDE - 0.5, (3 + 0.5) / SIDE - 0.5]).repeat(2, COUNT)
    torch.testing.assert_close(head(fine, coarse), expected)


def test_it_learns_a_place_between_cells() -> None:
    head, (fine, coarse) = made().train(), maps()
    wanted = torch.tensor([0.013, -0.171]).repeat(2, COUNT)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(120):
        optimiser.zero_grad()
        (head(fine, coarse) - wanted).abs().mean().backward()
        optimiser.step()
    assert (head(fine, coarse) - wanted).abs().mean() < 0.2 / SIDE
