"""Distillation on tiny networks: every crop teaches every head that the teacher has, labels or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from unlabelled import unlabelled
from vultus.errors import ModelError
from vultus_models.face.ages import learnt_code
from vultus_models.face.heads import heads
from vultus_models.face.kinds import network
from vultus_models.face.network import HeadedNet
from vultus_models.face.system import FaceTask
from vultus_models.face.teach import Teacher, teacher_of
from vultus_models.train import RECIPES, read_recipe, system_of
from vultus_models.training.card import macs_of

SMALL: dict[str, Any] = {"stages": [[8, 1]] * 4 + [[16, 1]], "embedding": 16, "turn": 8, "dropout": 0.0}
LARGE: dict[str, Any] = {**SMALL, "stages": [[12, 1]] * 4 + [[24, 1]], "embedding": 24}
TOML = """
system = "face"
[model]
stages = [[12, 1], [12, 1], [12, 1], [12, 1], [24, 1]]
embedding = 24
turn = 8
"""


def net(model: dict[str, Any], seed: int) -> HeadedNet:
    """A network whose answers differ from crop to crop."""
    torch.manual_seed(seed)
    made = network({"model": model})
    made.train()
    with torch.no_grad():
        for _ in range(30):
            made.raw(torch.randn(8, 3, 112, 112))
        for name, value in made.named_parameters():
            if name.startswith("out.") and name.endswith("weight"):
                value.mul_(6)
    return made.eval()


def lesson(teacher: HeadedNet, theirs: dict[str, Any], own: dict[str, Any], weight: float = 1.0) -> Teacher:
    config = {"model": own}
    return Teacher(teacher, {"model": theirs}, heads(config), learnt_code(config), weight)


def task(teacher: Teacher | None, own: dict[str, Any] = SMALL) -> FaceTask:
    return FaceTask([], None, {"model": own}, teacher)  # type: ignore[arg-type]


def test_who_answers_as_the_teacher_has_nothing_to_learn() -> None:
    same, crops = net(SMALL, 1), torch.randn(6, 3, 112, 112)
    found = lesson(same, SMALL, SMALL).losses(crops, same.raw(crops))
    assert set(found) == {head.output for head in same.heads}
    del found["age"]  # a code has a loss for its own years too
    assert all(abs(float(value)) < 1e-5 for value in found.values())
    other = lesson(net(LARGE, 2), LARGE, SMALL).losses(crops, same.raw(crops))
    assert all(float(other[name]) > float(value) + 1e-3 for name, value in found.items())


def test_crops_without_a_label_teach_every_head() -> None:
    teacher, student = net(LARGE, 2), net(SMALL, 1).train()
    taught = task(lesson(teacher, LARGE, SMALL))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    optimiser, batch = torch.optim.Adam(student.parameters(), lr=3e-3), unlabelled()
    history = []
    for _ in range(40):
        loss, parts = taught.loss(student, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history.append(parts)
    learnt = [f"taught.{head.output}" for head in student.heads]
    assert all(history[-1][name] < 0.8 * history[0][name] for name in learnt)
    assert all(value == 0 for name, value in history[-1].items() if not name.startswith("taught."))
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())


@pytest.mark.parametrize("age", ["softmax", "plain"])
def test_a_teacher_whose_ages_are_learnt_otherwise_teaches_years(age: str) -> None:
    model = {**LARGE, "age": age}
    crops, student = torch.randn(5, 3, 112, 112), net(SMALL, 1)
    years = torch.tensor([5.0, 20, 35, 60, 80])
    teacher = lesson(net(model, 2), model, SMALL)
    found = teacher.losses(crops, {**student.raw(crops), "age": learnt_code({}).encode(years) * 20 - 10})  # type: ignore[union-attr]
    answered = teacher._ages.decode(teacher.network(crops)[2])
    wanted = learnt_code({}).loss(learnt_code({}).encode(years) * 20 - 10, answered).mean()  # type: ignore[union-attr]
    assert float(found["age"]) == pytest.approx(float(wanted))


def test_the_weight_of_the_lessons_counts() -> None:
    student, batch = net(SMALL, 1), unlabelled(4)
    batch["gender"][:] = 1
    plain, single, double = (
        float(task(one).loss(student, batch)[0].detach())
        for one in (None, *(lesson(net(LARGE, 2), LARGE, SMALL, weight) for weight in (1.0, 2.0)))
    )
    assert plain > 0
    assert double - plain == pytest.approx(2 * (single - plain), rel=1e-4)


def test_only_heads_that_both_have_are_taught() -> None:
    theirs, own = {**LARGE, "heads": ["age", "smile"]}, {**SMALL, "heads": ["gender", "smile"]}
    crops, student = torch.randn(2, 3, 112, 112), net(own, 1)
    assert set(lesson(net(theirs, 2), theirs, own).losses(crops, student.raw(crops))) == {"smile"}
    with pytest.raises(
        ModelError, match="the teacher answers age, smile, of which the recipe's network learns none"
    ):
        lesson(net(theirs, 2), theirs, {**SMALL, "heads": ["pose"]})


def recipe(folder: Path, **teacher: Any) -> dict[str, Any]:
    (folder / "large.toml").write_text(TOML)
    torch.save({"model": net(LARGE, 2).state_dict()}, folder / "large.pt")
    table = {"recipe": str(folder / "large.toml"), "checkpoint": str(folder / "large.pt"), **teacher}
    return {"model": SMALL, "teacher": table}


def test_a_recipe_names_its_teacher(tmp_path: Path) -> None:
    config = recipe(tmp_path, weight=0.5)
    found = teacher_of(config, learnt_code(config), network)
    assert found is not None
    assert found.weight == 0.5
    assert all(
        torch.equal(a, b) for a, b in zip(found.network.parameters(), net(LARGE, 2).parameters(), strict=True)
    )
    assert teacher_of({"model": SMALL}, learnt_code(config), network) is None


@pytest.mark.parametrize(
    ("teacher", "model", "message"),
    [
        ({"checkpoint": "absent.pt"}, {}, r"checkpoint absent.pt is not there; train large.toml first"),
        ({"recipe": "chair"}, {}, "there is no recipe 'chair' for the teacher"),
        ({"recipe": "face-m"}, {}, "large.pt does not fit the network of this recipe"),
        ({}, {"side": 96}, "large.toml eats crops of 112 px, the recipe's network of 96 px"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused(
    teacher: dict[str, str], model: dict[str, int], message: str, tmp_path: Path
) -> None:
    config = recipe(tmp_path, **teacher)
    config["model"] = {**config["model"], **model}
    with pytest.raises(ModelError, match=message):
        teacher_of(config, learnt_code(config), network)


def test_the_taught_recipe_goes_on_with_the_network_and_the_data_of_the_untaught() -> None:
    taught, plain = (read_recipe(RECIPES / f"{name}.toml") for name in ("face-s-taught", "face-s"))
    assert taught["teacher"]["recipe"] == "face-m"
    assert taught["name"] != plain["name"]
    for table in ("model", "data", "weights", "quality"):
        assert taught[table] == plain[table], table


@pytest.mark.parametrize(
    ("name", "least", "most"), [("detector-n", 48e6, 52e6), ("face-m", 106e6, 112e6), ("face-s", 44e6, 46e6)]
)
def test_networks_are_as_large_as_their_recipes_say(name: str, least: float, most: float) -> None:
    config = read_recipe(RECIPES / f"{name}.toml")
    assert least < macs_of(system_of(config), config) < most
