from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vultus.decode.anchors import VALUES, anchors_per_cell, decode_values
from vultus_models.detector.kinds import KINDS, network, spec
from vultus_models.detector.srn import LITE, STEEP, SURELY_EMPTY, SelectiveDetector, Steps, _moved
from vultus_models.detector.srn_loss import selective_loss
from vultus_models.detector.targets import EMPTY, FACE, all_anchors
from vultus_models.train import read_recipe

RECIPES = Path(__file__).parents[2] / "models" / "vultus_models" / "recipes"
VARIANCES = (0.1, 0.2)
CONFIGS: list[dict[str, Any]] = [
    {},
    {"kind": "plain", "stem": [4, 8]},
    {"kind": "srn"},
    {"kind": "srn", "classify": 0, "regress": 0},
    {"kind": "srn", "classify": 3, "regress": 3},
    {"kind": "faceboxes"},
]


@pytest.mark.parametrize("model", CONFIGS)
def test_a_network_gives_the_maps_that_its_spec_names(model: dict[str, Any]) -> None:
    config = {"model": model}
    net, contract = network(config).eval(), spec(config)
    assert contract.detector is not None
    height, width = contract.input.multiple, 2 * contract.input.multiple
    with torch.no_grad():
        maps = net(torch.zeros(2, 3, height, width))
    wanted = [
        (2, anchors_per_cell(level) * VALUES, height // level.stride, width // level.stride)
        for level in contract.detector.levels
    ]
    assert [tuple(m.shape) for m in maps] == wanted
    assert (
        contract.input.height % contract.input.multiple == 0 == contract.input.width % contract.input.multiple
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_says_from_which_score_up_faces_are_reported(kind: str) -> None:
    detector = spec({"name": "x", "version": "0", "min_score": 0.57, "model": {"kind": kind}}).detector
    assert detector
    assert detector.min_score == 0.57


@pytest.mark.parametrize(
    "name", ["srn-lite", "srn-lite-onestep", "srn-lite-stc", "srn-lite-str", "srn", "faceboxes"]
)
def test_recipes_name_networks_that_can_be_built(name: str) -> None:
    recipe = read_recipe(RECIPES / f"{name}.toml")
    assert recipe["name"].removeprefix("vultus-") == name
    with torch.device("meta"):
        assert sum(p.numel() for p in network(recipe).parameters()) > 100_000


def test_full_size_takes_two_steps_where_the_paper_does() -> None:
    contract = spec({"model": {"kind": "srn", "size": "full"}})
    assert contract.detector is not None
    assert [level.stride for level in contract.detector.levels] == [4, 8, 16, 32, 64, 128]
    with torch.device("meta"):
        net = network({"model": {"kind": "srn", "size": "full"}})
    assert isinstance(net, SelectiveDetector)
    assert (len(net.first_score), len(net.first_box)) == (3, 3)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "yolo"}, "'yolo' is unknown; expected one of plain, srn, faceboxes"),
        ({"kind": "srn", "size": "xl"}, "'xl'"),
    ],
)
def test_unknown_kinds_and_sizes_are_refused(model: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network({"model": model})
    assert set(KINDS) == {"plain", "srn", "faceboxes"}


def test_two_boxes_joined_are_the_second_about_the_first() -> None:
    rng = np.random.default_rng(1)
    anchors = np.concatenate([rng.uniform(0, 100, (50, 2)), rng.uniform(8, 64, (50, 1))], 1).astype(
        np.float32
    )
    first, second = rng.normal(0, 1, (2, 50, 4)).astype(np.float32)
    pad = np.zeros((50, 10), np.float32)
    once = decode_values(np.concatenate([first, pad], 1), anchors, VARIANCES)[0]
    sides, centre = once[:, 2:] - once[:, :2], (once[:, 2:] + once[:, :2]) / 2
    middle = centre + second[:, :2] * VARIANCES[0] * sides
    half = sides * np.exp(second[:, 2:] * VARIANCES[1]) / 2
    maps = [torch.from_numpy(v.T.reshape(1, 4, 50, 1).copy()) for v in (first, second)]
    joined = _moved(maps[0], maps[1], VARIANCES[1]).numpy().reshape(4, 50).T
    boxes = decode_values(np.concatenate([joined, pad], 1), anchors, VARIANCES)[0]
    np.testing.assert_allclose(boxes, np.concatenate([middle - half, middle + half], 1), rtol=1e-4, atol=1e-3)


def _srn(classify: int = 1, regress: int = 2) -> SelectiveDetector:
    torch.manual_seed(3)
    net = network({"model": {"kind": "srn", "classify": classify, "regress": regress}})
    assert isinstance(net, SelectiveDetector)
    return net


@pytest.mark.parametrize("above", [-4.0, -1.5, 0.0, 0.5, 3.0])
def test_the_first_score_caps_the_second_only_when_it_runs_for_real(above: float) -> None:
    net, x = _srn(), torch.randn(1, 3, 64, 64)
    first = net.first_score[0]
    assert isinstance(first, torch.nn.Conv2d)
    assert first.bias is not None
    torch.nn.init.zeros_(first.weight)
    torch.nn.init.constant_(first.bias, above + np.log(SURELY_EMPTY / (1 - SURELY_EMPTY)))
    with torch.no_grad():
        learning, running = net.train()(x)[0], net.eval()(x)[0]
    scores, capped = learning[:, ::VALUES], running[:, ::VALUES]
    torch.testing.assert_close(capped, scores.clamp(max=STEEP * above), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(running[:, 1], learning[:, 1], rtol=1e-4, atol=1e-4)


def _batch(side: int = 64) -> dict[str, torch.Tensor]:
    """Return targets of one picture with a face at an anchor of every level."""
    contract = spec({"model": {"kind": "srn"}})
    assert contract.detector is not None
    anchors = all_anchors(contract.detector, side, side)
    where = np.array([100, 330, len(anchors) - 3])
    state = np.full((1, len(anchors)), EMPTY, np.uint8)
    state[0, where] = FACE
    centre, half = anchors[where, :2], anchors[where, 2:] / 2
    arrays = {
        "state": state,
        "picture": np.zeros(3, np.int64),
        "anchor": where,
        "anchors": anchors[where],
        "boxes": np.concatenate([centre - half + 1, centre + half + 2], 1).astype(np.float32),
        "values": np.zeros((3, 14), np.float32),
    }
    return {key: torch.from_numpy(value) for key, value in arrays.items()}


@pytest.mark.parametrize(("classify", "regress"), [(1, 2), (0, 0), (1, 0), (0, 2)])
def test_every_step_that_is_taken_is_taught(classify: int, regress: int) -> None:
    net = _srn(classify, regress).train()
    total, parts = selective_loss(net.steps(torch.randn(1, 3, 64, 64)), _batch(), VARIANCES)
    total.backward()  # type: ignore[no-untyped-call]
    untaught = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in untaught if "values" not in name] == []
    assert (parts["first_score"] > 0, parts["first_box"] > 0) == (classify > 0, regress > 0)


def test_the_second_score_does_not_learn_from_anchors_that_the_first_drops() -> None:
    net, batch = _srn().train(), _batch()
    steps = net.steps(torch.randn(1, 3, 64, 64))
    assert steps.logits[0] is not None
    sure = steps.logits[0].detach().clone().fill_(-10.0)
    dropped = Steps(steps.maps, (sure, None, None), steps.boxes)
    kept = selective_loss(steps, batch, VARIANCES)[1]["score"]
    left = selective_loss(dropped, batch, VARIANCES)[1]["score"]
    assert 0 < left < kept


def test_a_few_steps_of_training_lower_the_loss() -> None:
    net, batch, x = _srn().train(), _batch(), torch.randn(1, 3, 64, 64)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    values = []
    for _ in range(12):
        loss, _ = selective_loss(net.steps(x), batch, VARIANCES)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.7 * values[0]
    assert len(LITE.levels) == 3
