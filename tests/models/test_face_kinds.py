"""The face networks that a recipe can name: HMT-Net, TreeCNN, ridge; what they give, learn and cut."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vultus.decode.heads import decode_into, softmax
from vultus.geometry import FACE_TEMPLATE
from vultus.types import empty_faces
from vultus_export.exporter import onnx_from_module
from vultus_export.parity import check_parity
from vultus_export.runners import onnx_runner, torch_runner
from vultus_models.face.heads import heads
from vultus_models.face.hmt import LEAVES, HmtNet
from vultus_models.face.kinds import KINDS, fold, network, spec, task_of
from vultus_models.face.losses import REGIONS, losses
from vultus_models.face.network import HeadedNet
from vultus_models.face.ridge import RidgeTask
from vultus_models.face.tree import PARTS, REACH, Cutter, TreeNet, majority, mean_of
from vultus_models.train import read_recipe

RECIPES = Path(__file__).parents[2] / "models" / "vultus_models" / "recipes"
TINY: dict[str, Any] = {"stages": [[8, 1], [8, 1], [8, 2], [8, 1], [16, 1]], "embedding": 16, "turn": 8}
HMT: dict[str, Any] = {"model": {**TINY, "kind": "hmt", "heads": list(LEAVES), "rating": "huber"}}
TREE: dict[str, Any] = {"model": {**TINY, "kind": "tree"}}
CONFIGS = [
    HMT,
    TREE,
    {"model": {**TINY, "kind": "ridge", "age": "softmax", "rating": "crnet"}},
    {"model": {**TINY, "age": "plain", "heads": ["age", "gender"]}},
    {"model": {"kind": "mobilenet", "heads": ["age", "expression"], "seen": 64, "frozen": 2}},
    {"model": {**TINY, "kind": "tree"}, "quality": {"faces": 9}, "balance": {"kind": "uncertainty"}},
]
ABLATIONS = sorted(path.stem for path in (RECIPES / "ablations").glob("*.toml"))
SYSTEMS = {
    "hmt": "vultus-hmt",
    "tree": "vultus-tree",
    "crnet": "vultus-crnet",
    "ridge": "vultus-ridge",
    "ridge-trunk": "ridge-trunk",
}


ON_BASE = re.compile("ablations/(base|age|balance|tree)|tree")
CHOSEN = dict.fromkeys(("kind", "vote", "age", "age_group", "rating"))
"""What the variants of a table differ in."""


def made(config: dict[str, Any]) -> HeadedNet:
    """Return a network whose batch norms differ, as after training."""
    torch.manual_seed(2)
    net = network(config).train()
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.3, 0.3)
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 3, 112, 112))
    return net.eval()


@pytest.mark.parametrize("config", CONFIGS)
def test_a_network_is_exported_folded_and_decoded(config: dict[str, Any]) -> None:
    net, contract = made(config), spec(config)
    model = onnx_from_module(fold(net), contract)
    run = onnx_runner(model, contract)
    crops = torch.randn(3, 3, 112, 112, generator=torch.Generator().manual_seed(1)).numpy()
    names = [head.output for head in contract.heads]
    check_parity(torch_runner(net, names), run, contract, [crops[:1], crops])
    faces, same = empty_faces(3), np.tile(np.eye(2, 3), (3, 1, 1))
    fields = [head.field for head in contract.heads]
    decode_into(run(crops), contract, same, faces, fields)
    assert all(np.isfinite(faces[field]).all() for field in fields)
    assert not any(node.op_type in ("BatchNormalization", "AffineGrid") for node in model.graph.node)


@pytest.mark.parametrize("name", [*SYSTEMS, *(f"ablations/{name}" for name in ABLATIONS)])
def test_recipes_build_what_they_name(name: str) -> None:
    recipe = read_recipe(RECIPES / f"{name}.toml")
    assert recipe["name"] == SYSTEMS.get(name, name.rpartition("/")[2])
    contract = spec(recipe)
    assert contract.name == recipe["name"]
    with torch.device("meta"):
        assert [head.output for head in network(recipe).heads] == [head.output for head in contract.heads]
    assert set(recipe["weights"]) >= {head.output for head in contract.heads} or "ridge" in name


def test_ablations_of_one_table_differ_in_what_they_compare_alone() -> None:
    base = read_recipe(RECIPES / "ablations" / "base.toml")
    rated = read_recipe(RECIPES / "ablations" / "rating-plain.toml")
    for name in [*(f"ablations/{name}" for name in ABLATIONS), "tree", "crnet", "ridge-trunk"]:
        if name.startswith("ablations/hmt"):
            continue
        other, first = read_recipe(RECIPES / f"{name}.toml"), base if ON_BASE.match(name) else rated
        assert other["schedule"] == base["schedule"], name
        assert other["data"] == first["data"], name
        assert {**other["model"], **CHOSEN} == {**first["model"], **CHOSEN}, name
    joint = read_recipe(RECIPES / "hmt.toml")
    for task in LEAVES:
        alone = read_recipe(RECIPES / "ablations" / f"hmt-{task}.toml")
        drawn = {
            name: share for name, share in joint["data"]["shares"].items() if name in alone["data"]["shares"]
        }
        assert alone["data"]["shares"] == drawn
        assert alone["schedule"]["batch"] == int(64 * sum(drawn.values()))
        assert {**alone["schedule"], "batch": 64} == joint["schedule"]
        assert alone["weights"][task] == joint["weights"][task]


def test_unknown_kinds_heads_and_votes_are_refused() -> None:
    for model, message in (
        ({"kind": "forest"}, "'forest' is unknown; expected one of plain, hmt, tree, mobilenet, ridge"),
        (
            {"kind": "hmt"},
            "with the tasks landmarks, .* cannot be built; expected at least 5 stages and tasks",
        ),
        ({"kind": "tree", "vote": "veto"}, "'veto' is unknown; expected one of majority, mean, global"),
        (
            {"kind": "tree", "heads": ["age"]},
            "a tree needs the heads landmarks and expression; it was given age",
        ),
        ({"kind": "mobilenet"}, "no map to read landmarks, pose from; leave them out of `heads`"),
        (
            {"kind": "mobilenet", "heads": ["age"], "seen": 100},
            "`seen` is 100 px; expected a multiple of 32",
        ),
        ({"heads": ["hat"]}, "heads hat are unknown; expected some of landmarks, pose"),
    ):
        with pytest.raises(ValueError, match=message):
            network({"model": model})


def test_frozen_parts_of_a_trunk_learn_nothing() -> None:
    net = network({"model": {"kind": "mobilenet", "heads": ["age", "gender"], "seen": 64, "frozen": 3}})
    sum(out.square().mean() for out in net(torch.randn(2, 3, 112, 112))).backward()
    learning = {name.split(".")[1] for name, one in net.named_parameters() if one.grad is not None}
    assert learning == {"age", "gender", *map(str, range(3, 14))}


def test_heads_keep_their_order_whatever_the_recipe_says() -> None:
    chosen = heads({"model": {"heads": ["smile", "age"]}})
    assert [head.output for head in chosen] == ["age", "smile"]


@pytest.mark.parametrize("task", LEAVES)
def test_a_task_alone_is_its_path_of_the_joint_network(task: str) -> None:
    joint = made(HMT)
    alone = network({"model": {**HMT["model"], "heads": [task]}}).eval()
    alone.load_state_dict({k: v for k, v in joint.state_dict().items() if k in alone.state_dict()})
    assert isinstance(alone, HmtNet)
    assert len(alone.stages) == LEAVES[task]
    crops = torch.randn(2, 3, 112, 112)
    together = dict(zip(LEAVES, joint(crops), strict=True))
    torch.testing.assert_close(alone(crops)[0], together[task])


def test_the_kind_of_a_recipe_chooses_what_teaches_it() -> None:
    assert {name: task_of({"model": {"kind": name}}) is RidgeTask for name in KINDS} == {
        "plain": False,
        "hmt": False,
        "tree": False,
        "mobilenet": False,
        "ridge": True,
    }


def usual_landmarks(name: str, x: float = 0.0, y: float = 0.0) -> torch.Tensor:
    """Landmarks with those of one part in its usual place, or off it."""
    marks = torch.zeros(1, 68, 2)
    part = PARTS[name]
    marks[0, list(part.marks)] = torch.tensor([part.x + x, part.y + y])
    return marks


@pytest.mark.parametrize("name", REGIONS)
def test_a_part_is_cut_around_its_landmarks(name: str) -> None:
    part, side = PARTS[name], 112
    grid = torch.arange(side) / side + 0.5 / side - 0.5
    crops = torch.stack([grid.expand(side, side), grid[:, None].expand(side, side), torch.zeros(side, side)])[
        None
    ]
    for x, y in ((0.0, 0.0), (0.05, -0.04), (1.0, 0.0)):
        cut = Cutter(part)(crops, usual_landmarks(name, x, y))
        assert cut.shape == (1, 3, part.rows, part.columns)
        inside = slice(2, -2)
        seen = cut[0, :2, inside, inside].mean(dim=(1, 2))
        assert seen.tolist() == pytest.approx([part.x + min(x, REACH), part.y + y], abs=0.012)
        step = (cut[0, 0, 5, 8] - cut[0, 0, 5, 4]).item()
        assert step == pytest.approx(4 * part.width / part.columns, rel=1e-3)


def test_parts_hold_the_points_that_they_are_named_for() -> None:
    points = FACE_TEMPLATE - 0.5
    for name, indices in (("eyes", (0, 1)), ("nose", (2,)), ("mouth", (3, 4))):
        part = PARTS[name]
        for point in points[list(indices)]:
            assert np.all(np.abs(point - (part.x, part.y)) < np.array([part.width, part.height]) / 2 - 0.03)


def votes(*classes: int, sure: float = 4.0) -> torch.Tensor:
    """Logits (v, 1, 3) of voters for the given classes."""
    return sure * nn.functional.one_hot(torch.tensor(classes), 3).float()[:, None]


@pytest.mark.parametrize(
    ("voters", "winner"),
    [
        (votes(0, 1, 1, 2), 1),
        (votes(2, 2, 2, 2), 2),
        (torch.cat([votes(0, sure=9.0), votes(1, 1, sure=0.1), votes(2, sure=9.0)]), 1),
        (torch.cat([votes(0, 0, sure=1.0), votes(2, 2, sure=3.0)]), 2),
    ],
)
def test_the_majority_wins_and_the_mean_decides_among_equals(voters: torch.Tensor, winner: int) -> None:
    logits = majority(voters)
    assert logits.argmax(dim=1).item() == winner
    shares = softmax(logits.double().numpy())
    chosen = np.bincount(voters.argmax(dim=2)[:, 0].numpy(), minlength=3)
    expected = (chosen + voters.softmax(dim=2).mean(dim=0)[0].numpy()) / 5
    np.testing.assert_allclose(shares[0], expected, rtol=1e-5)


def test_the_mean_is_the_mean_of_probabilities() -> None:
    voters = torch.randn(4, 5, 7)
    shares = softmax(mean_of(voters).double().numpy())
    np.testing.assert_allclose(shares, voters.softmax(dim=2).mean(dim=0).numpy(), rtol=1e-5)


def test_parts_learn_the_expression_and_leave_the_global_network_alone() -> None:
    net = network(TREE).train()
    assert isinstance(net, TreeNet)
    out = net.raw(torch.randn(4, 3, 112, 112))
    found = losses({name: out[name] for name in REGIONS}, {"expression": torch.tensor([0, 3, -1, 6])})
    assert set(found) == set(REGIONS)
    torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
    taught = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert taught == {"parts"}


def test_the_global_network_of_a_tree_is_the_plain_one() -> None:
    torch.manual_seed(5)
    tree = network({"model": {**TREE["model"], "vote": "global"}}).eval()
    torch.manual_seed(5)
    plain = network({"model": TINY}).eval()
    crops = torch.randn(2, 3, 112, 112)
    for one, other in zip(tree(crops), plain(crops), strict=True):
        assert torch.equal(one, other)
