"""The face network: its outputs, its size, its folded form and its contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vultus.decode.heads import decode_into, output_width
from vultus.spec import spec_from_json, spec_to_json
from vultus.types import empty_faces
from vultus_models.face.network import FaceNet, fold, network
from vultus_models.face.system import spec


@pytest.fixture(scope="module")
def net() -> FaceNet:
    """A network whose batch norms have seen something and whose gains differ, as after training."""
    torch.manual_seed(3)
    made = network({}).train()
    for norm in (m for m in made.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.3, 0.3)
    with torch.no_grad():
        for _ in range(4):
            made(torch.randn(8, 3, 112, 112))
    return made.eval()


def multiplications(net: nn.Module, side: int) -> int:
    """Multiply-accumulates of one crop."""
    found: list[int] = []

    def count(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            found.append(out[0].numel() * module.weight[0].numel())
        elif isinstance(module, nn.Linear):
            found.append(module.weight.numel())

    hooks = [m.register_forward_hook(count) for m in net.modules()]
    net(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return sum(found)


def test_outputs_come_in_the_order_and_width_that_the_spec_promises(net: FaceNet) -> None:
    out = net(torch.randn(2, 3, 112, 112))
    assert [tuple(part.shape) for part in out] == [(2, output_width(head)) for head in spec({}).heads]


def test_the_network_keeps_to_its_budget(net: FaceNet) -> None:
    assert 20e6 < multiplications(net, 112) <= 46e6
    assert sum(p.numel() for p in net.parameters()) <= 700_000


def test_folding_changes_the_graph_and_not_the_answers(net: FaceNet) -> None:
    crops = torch.randn(3, 3, 112, 112)
    ready = fold(net)
    assert not any(isinstance(m, nn.BatchNorm2d | nn.Dropout) for m in ready.modules())
    for mine, theirs in zip(ready(crops), net(crops), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_folding_leaves_the_trained_network_as_it_was(net: FaceNet) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fold(net)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_folding_twice_is_refused(net: FaceNet) -> None:
    with pytest.raises(ValueError, match="folded before"):
        fold(fold(net))


def test_the_spec_travels_as_json_and_can_be_decoded(net: FaceNet) -> None:
    contract = spec_from_json(spec_to_json(spec({"version": "9.9.9"})))
    assert (contract.name, contract.version, contract.task) == ("vultus-face-s", "9.9.9", "face")
    assert "research" in contract.licence
    names = [head.output for head in contract.heads]
    out = net(torch.randn(2, 3, 112, 112))
    outputs = {name: part.detach().numpy() for name, part in zip(names, out, strict=True)}
    faces, same = empty_faces(2), np.tile(np.eye(2, 3), (2, 1, 1))
    fields = [head.field for head in contract.heads]
    decode_into(outputs, contract, same, faces, fields)
    assert all(np.isfinite(faces[field]).all() for field in fields)


def test_a_recipe_can_ask_for_another_size() -> None:
    config = {"model": {"stages": [[8, 1], [8, 2], [8, 1]], "side": 64, "ages": 60, "age_group": 5}}
    out = network(config).eval()(torch.zeros(1, 3, 64, 64))
    assert out[2].shape == (1, 64)
    assert spec(config).input.width == 64
