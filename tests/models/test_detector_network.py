"""The detector's network: its size, its maps and its contract."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vultus.decode.anchors import VALUES, anchors_per_cell, decode
from vultus.geometry import letterbox_affine
from vultus.spec import spec_from_json, spec_to_json
from vultus_models.detector.network import network, spec

MOST_FLOP, LEAST_FLOP = 300e6, 100e6


def flop(model: nn.Module, width: int, height: int) -> int:
    """Count two operations for each multiplication of a convolution."""
    total = 0

    def count(module: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += 2 * module.weight[0].numel() * out.numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, height, width))
    return total


def test_the_small_detector_keeps_to_its_budget() -> None:
    assert LEAST_FLOP <= flop(network({}), 640, 480) <= MOST_FLOP


@pytest.mark.parametrize("size", [(32, 32), (96, 64), (64, 160)])
def test_maps_follow_the_levels_of_the_contract(size: tuple[int, int]) -> None:
    width, height = size
    maps = network({}).eval()(torch.zeros(2, 3, height, width))
    detector = spec({}).detector
    assert detector is not None
    for level, out in zip(detector.levels, maps, strict=True):
        expected = (2, anchors_per_cell(level) * VALUES, height // level.stride, width // level.stride)
        assert tuple(out.shape) == expected


def test_an_untrained_network_is_sure_of_nothing() -> None:
    torch.manual_seed(0)
    contract = spec({})
    assert contract.detector is not None
    with torch.no_grad():
        maps = network({}).eval()(torch.randn(1, 3, 64, 96))
    names = [level.output for level in contract.detector.levels]
    outputs = {name: m.numpy() for name, m in zip(names, maps, strict=True)}
    affine = letterbox_affine(96, 64, (96, 64))
    assert len(decode(outputs, 0, contract, affine, 0.5)) == 0
    assert len(decode(outputs, 0, contract, affine, 1e-4)) > 0


def test_the_contract_survives_its_journey() -> None:
    contract = spec({"name": "other", "version": "9"})
    assert spec_from_json(spec_to_json(contract)) == contract
    assert (contract.name, contract.version) == ("other", "9")
    assert "non-commercial" in contract.licence


def test_a_recipe_changes_the_widths() -> None:
    wide = network({"model": {"stem": [8, 24], "trunk": [48, 64, 96], "blocks": [1, 1, 1]}})
    narrow = network({})
    count = [sum(p.numel() for p in model.parameters()) for model in (wide, narrow)]
    assert count[0] > count[1]


def test_an_unknown_width_is_refused() -> None:
    with pytest.raises(TypeError, match="depth"):
        network({"model": {"depth": 3}})
