"""The written-out GroupNorm gives what PyTorch's own gives, at every size, and keeps its bits over whole pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vultus_models.detector.norm import GroupNorm


def norm(groups: int, channels: int) -> GroupNorm:
    torch.manual_seed(1)
    made = GroupNorm(groups, channels)
    nn.init.normal_(made.weight)
    nn.init.normal_(made.bias)
    return made


def exact(one: GroupNorm, x: Tensor) -> Tensor:
    wide = nn.GroupNorm(one.num_groups, one.num_channels).double()
    wide.load_state_dict(one.state_dict())
    found: Tensor = wide(x.double())
    return found.float()


@pytest.mark.parametrize(("groups", "channels"), [(1, 1), (1, 4), (3, 48), (4, 4), (32, 64)])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (7, 5), (33, 64)])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_written_out_it_gives_the_same(
    groups: int, channels: int, size: tuple[int, int], offset: float
) -> None:
    one, x = norm(groups, channels), torch.randn(2, channels, *size) * 3 + offset
    with torch.no_grad():
        deployed, learning = one.eval()(x), one.train()(x)
        if channels // groups * size[0] * size[1] > 1:
            torch.testing.assert_close(deployed, exact(one, x), rtol=1e-4, atol=2e-4)
        torch.testing.assert_close(learning, nn.GroupNorm.forward(one, x))
    assert deployed.isfinite().all()


def test_a_map_without_variance_leaves_as_its_shift() -> None:
    one = norm(2, 8).eval()
    with torch.no_grad():
        found = one(torch.full((1, 8, 6, 9), 4.0))
    torch.testing.assert_close(found, one.bias.reshape(1, 8, 1, 1).expand_as(found), rtol=0, atol=1e-3)


def test_sums_over_a_whole_picture_keep_their_bits() -> None:
    one, x = norm(1, 8).eval(), torch.randn(1, 8, 480, 640) + torch.linspace(0, 9, 640)
    with torch.no_grad():
        assert (one(x) - exact(one, x)).abs().max() < 2e-5
