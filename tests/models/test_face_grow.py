"""Growth: a larger network answers as the smaller one did, learns beyond it, and refuses what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from vultus.errors import ModelError
from vultus_models.face.grow import grow, grown
from vultus_models.face.kinds import network
from vultus_models.face.network import HeadedNet

SMALL: dict[str, Any] = {"stages": [[8, 1]] * 4 + [[16, 1]], "embedding": 16, "turn": 8, "dropout": 0.0}
HMT: dict[str, Any] = {"kind": "hmt", "heads": ["gender", "ethnicity", "attractiveness"]}
TREE: dict[str, Any] = {"kind": "tree"}

LARGER: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("the same size", SMALL, SMALL),
    ("wider", SMALL, {**SMALL, "stages": [[12, 1]] * 4 + [[24, 1]]}),
    ("deeper", SMALL, {**SMALL, "stages": [[8, 2]] * 4 + [[16, 3]]}),
    ("wider heads", SMALL, {**SMALL, "embedding": 24, "turn": 14, "marks": 60}),
    (
        "all of it",
        SMALL,
        {**SMALL, "stages": [[12, 2]] * 4 + [[24, 2]], "embedding": 24, "turn": 14, "marks": 60},
    ),
]


def net(model: dict[str, Any], seed: int) -> HeadedNet:
    """A network whose batch norms have seen something."""
    torch.manual_seed(seed)
    made = network({"model": model}).train()
    with torch.no_grad():
        for _ in range(5):
            made.raw(torch.randn(8, 3, 112, 112))
    return made.eval()


@pytest.mark.parametrize(("name", "small", "large"), LARGER, ids=[case[0] for case in LARGER])
def test_the_larger_network_answers_as_the_smaller_one(
    name: str, small: dict[str, Any], large: dict[str, Any]
) -> None:
    crops = torch.randn(4, 3, 112, 112)
    taught, larger = net(small, 1), network({"model": large}).eval()
    grow(larger, taught.state_dict())
    for wanted, given in zip(taught(crops), larger(crops), strict=True):
        assert wanted.std() > 0
        torch.testing.assert_close(given, wanted, atol=2e-5, rtol=1e-5)


def test_a_head_that_the_larger_network_lacks_is_left_behind() -> None:
    crops, few = torch.randn(2, 3, 112, 112), {**SMALL, "heads": ["age", "smile"]}
    taught, larger = net(SMALL, 1), network({"model": few}).eval()
    grow(larger, taught.state_dict())
    wanted = dict(zip((head.output for head in taught.heads), taught(crops), strict=True))
    torch.testing.assert_close(larger(crops), (wanted["age"], wanted["smile"]), atol=2e-5, rtol=1e-5)


def test_a_head_that_the_smaller_network_lacks_begins_at_random() -> None:
    crops, few = torch.randn(2, 3, 112, 112), {**SMALL, "heads": ["age", "smile"]}
    taught, larger = net(few, 1), network({"model": SMALL}).eval()
    before = larger.get_parameter("marks.heat.weight").clone()
    grow(larger, taught.state_dict())
    given = dict(zip((head.output for head in larger.heads), larger(crops), strict=True))
    torch.testing.assert_close((given["age"], given["smile"]), taught(crops), atol=2e-5, rtol=1e-5)
    assert torch.equal(larger.get_parameter("marks.heat.weight"), before)


def test_new_channels_learn() -> None:
    larger = network({"model": LARGER[-1][2]})
    grow(larger, net(SMALL, 1).state_dict())
    rate = torch.optim.SGD(larger.parameters(), lr=0.1)
    for _ in range(3):
        rate.zero_grad()
        larger.train().raw(torch.randn(8, 3, 112, 112))["gender"].square().sum().backward()  # type: ignore[no-untyped-call]
        rate.step()
    gender = larger.get_parameter("out.gender.weight")
    assert (gender[:, 16:] != 0).all(), "the head reads the new features"
    new = larger.get_parameter("stages.4.1.norm.weight")
    assert (new != 0).any(), "the new block is no identity any more"


NO_ROOM: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("narrower", {**SMALL, "embedding": 24}, SMALL, r"embedding\.4\.weight \(24, .*no room .*\(16, "),
    ("another kind", SMALL, {**SMALL, **HMT}, "no room in the larger network"),
    ("more blocks", SMALL, {**SMALL, **TREE}, r"the smaller network lacks parts\.eyes"),
    ("another stage", SMALL, {**SMALL, "stages": [[8, 1]] * 4 + [[16, 1]] * 2}, "no room|lacks"),
]


@pytest.mark.parametrize(("name", "small", "large", "words"), NO_ROOM, ids=[case[0] for case in NO_ROOM])
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    name: str, small: dict[str, Any], large: dict[str, Any], words: str, tmp_path: Path
) -> None:
    larger = network({"model": large})
    before = {key: value.clone() for key, value in larger.state_dict().items()}
    with pytest.raises(ValueError, match=words):
        grow(larger, net(small, 1).state_dict())
    assert all(torch.equal(value, before[key]) for key, value in larger.state_dict().items())
    torch.save({"model": net(small, 1).state_dict()}, tmp_path / "small.pt")
    with pytest.raises(ModelError, match=r"no growth from .*small\.pt: .*"):
        grown(larger, {"grown": {"checkpoint": str(tmp_path / "small.pt")}}, [])


def test_a_recipe_names_the_checkpoint_or_nothing_is_grown(tmp_path: Path) -> None:
    larger = network({"model": SMALL})
    assert grown(larger, {}, []) is larger
    with pytest.raises(ModelError, match=r"the checkpoint .*absent\.pt is not there; train its recipe first"):
        grown(larger, {"grown": {"checkpoint": str(tmp_path / "absent.pt")}}, [])
    small = net(SMALL, 1)
    torch.save({"model": small.state_dict()}, tmp_path / "small.pt")
    grown(larger, {"grown": {"checkpoint": str(tmp_path / "small.pt")}}, [])
    torch.testing.assert_close(larger.state_dict(), small.state_dict())
