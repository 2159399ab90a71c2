"""Distillation on tiny networks: every crop teaches every head that a teacher has, labels or none."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from picture_sets import labelled_landmarks, write_set
from precision_nets import save_detector
from unlabelled import unlabelled
from vultus.engines import open_engine
from vultus.errors import ModelError
from vultus.spec import ModelSpec
from vultus.types import FACE
from vultus_export.exporter import onnx_from_module
from vultus_models.face.ages import learnt_code
from vultus_models.face.answers import TAUGHT, ask
from vultus_models.face.cache import CROP, Crops, build_set, open_crops
from vultus_models.face.data import Answers, Sampler, plain_batches
from vultus_models.face.evaluation import prepared
from vultus_models.face.heads import age_code, heads
from vultus_models.face.kinds import fold, network, spec
from vultus_models.face.network import HeadedNet
from vultus_models.face.system import FaceTask
from vultus_models.face.teach import Lessons, answers_of
from vultus_models.teachers.yunet import Found
from vultus_models.train import RECIPES, read_recipe, system_of
from vultus_models.training.card import macs_of

SMALL: dict[str, Any] = {"stages": [[8, 1]] * 4 + [[16, 1]], "embedding": 16, "turn": 8, "dropout": 0.0}
LARGE: dict[str, Any] = {**SMALL, "stages": [[12, 1]] * 4 + [[24, 1]], "embedding": 24}
SCENES = np.full((1, 160, 160, 3), 40, np.uint8)


def net(model: dict[str, Any], seed: int) -> HeadedNet:
    """A network whose answers differ from crop to crop."""
    torch.manual_seed(seed)
    made = network({"model": model})
    made.train()
    side = model.get("side", 112)
    with torch.no_grad():
        for _ in range(30):
            made.raw(torch.randn(8, 3, side, side))
        for name, value in made.named_parameters():
            if name.startswith("out.") and name.endswith("weight"):
                value.mul_(6)
    return made.eval()


def saved(path: Path, model: dict[str, Any], seed: int) -> Path:
    contract: ModelSpec = spec({"model": model})
    onnx.save(onnx_from_module(fold(net(model, seed)), contract), path)
    return path


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("teachers")
    return saved(folder / "one.onnx", LARGE, 2), saved(folder / "two.onnx", SMALL, 3)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    """Twelve noisy faces, some of which are kept for validation."""
    data, cache = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(0)
    rows = [
        (rng.integers(0, 256, (200, 200, 3), np.uint8), labelled_landmarks(rng.uniform(50, 150, (68, 2))))
        for _ in range(12)
    ]
    write_set(data, "landmarks68", rows, "train")
    build_set(data, "landmarks68", cache, lambda _: Found(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0)))
    found = open_crops(cache, "landmarks68")
    found.faces["val"][:3], found.faces["val"][3:] = True, False
    return found


def raw(path: Path, image: Tensor) -> dict[str, Tensor]:
    """What a saved network says of crops, before anything is decoded."""
    with open_engine(path, "cpu") as engine:
        batch = prepared(image).contiguous().numpy()
        return {name: torch.from_numpy(value.copy()) for name, value in engine(batch).items()}


def test_an_answer_is_the_mean_over_networks_and_mirror_images(
    teachers: tuple[Path, Path], crops: Crops, tmp_path: Path
) -> None:
    found = ask(teachers, [crops], tmp_path)
    assert found.fields == TAUGHT
    (said,) = found.sets
    assert np.isnan(said["age"][:3]).all()
    chosen = np.arange(3, 12)
    image = next(iter(plain_batches(crops, chosen, 20)))["image"]
    views = [raw(path, one) for path in teachers for one in (image, image.flip(2))]
    code = age_code({})
    years = torch.stack([code.decode(view["age"]) for view in views]).mean(0)
    np.testing.assert_allclose(said["age"][chosen], years.numpy(), atol=1e-2)
    for name in ("gender", "ethnicity", "expression"):
        shares = torch.stack([view[name].softmax(1) for view in views]).mean(0)
        np.testing.assert_allclose(said[name][chosen], shares.numpy(), atol=1e-5)
    smiles = torch.stack([view["smile"][:, 0].sigmoid() for view in views]).mean(0)
    np.testing.assert_allclose(said["smile"][chosen], 100 * smiles.numpy(), atol=1e-3)
    nose = torch.stack([view["landmarks"].view(-1, 68, 2)[:, 30] for view in views])
    nose[1::2, :, 0] *= -1  # seen in the mirror
    wanted = (nose.mean(0).numpy() + 0.5) * CROP - 0.5 + (160 - CROP) / 2
    np.testing.assert_allclose(said["landmarks"][chosen, 30], wanted, atol=1e-3)


def test_nobody_is_asked_twice(
    teachers: tuple[Path, Path], crops: Crops, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first, second = (ask(teachers, [crops], tmp_path) for _ in range(2))
    assert caplog.text.count("asking vultus-face-s about landmarks68") == 2
    assert first.sets[0].tobytes() == second.sets[0].tobytes()
    ask(teachers[:1], [crops], tmp_path)
    ask(teachers[::-1], [crops], tmp_path, [1, 5])
    assert caplog.text.count("asking") == 2
    moved = replace(crops, faces=crops.faces.copy())
    moved.faces["points"] += 1
    ask(teachers, [moved], tmp_path)
    assert caplog.text.count("asking") == 4
    assert not list(tmp_path.glob("*.part"))


def test_who_is_trusted_more_counts_more(teachers: tuple[Path, Path], crops: Crops, tmp_path: Path) -> None:
    one, two = (ask([path], [crops], tmp_path).sets[0] for path in teachers)
    (both,) = ask(teachers, [crops], tmp_path, [1, 3]).sets
    for name in TAUGHT:
        np.testing.assert_allclose(both[name], (one[name] + 3 * two[name]) / 4, rtol=1e-5, atol=1e-5)
    assert (one["smile"] != two["smile"])[3:].all()


def test_a_teacher_is_heard_about_the_fields_it_is_trusted_in_alone(
    teachers: tuple[Path, Path], crops: Crops, tmp_path: Path
) -> None:
    one, two = (ask([path], [crops], tmp_path).sets[0] for path in teachers)
    found = ask(teachers, [crops], tmp_path, [1, {"gender": 3, "age": 1}])
    (both,) = found.sets
    assert found.fields == TAUGHT
    for name in TAUGHT:
        wanted = {"gender": (one[name] + 3 * two[name]) / 4, "age": (one[name] + two[name]) / 2}.get(
            name, one[name]
        )
        np.testing.assert_allclose(both[name], wanted, rtol=1e-5, atol=1e-5)
    few = ask(teachers, [crops], tmp_path, [{"age": 1}, {"smile": 2, "age": 1}])
    assert few.fields == ("age", "smile")
    np.testing.assert_array_equal(few.sets[0]["smile"], two["smile"])


def test_a_teacher_cannot_be_heard_about_what_it_does_not_answer(
    teachers: tuple[Path, Path], crops: Crops, tmp_path: Path
) -> None:
    with pytest.raises(
        ModelError, match=r"hears .*two.onnx about pose, hats, which it does not answer; it answers la"
    ):
        ask(teachers, [crops], tmp_path, [1, {"age": 1, "pose": 1, "hats": 1}])


@pytest.mark.parametrize(
    "trust",
    [
        [],
        [1.0],
        [1.0, 0.0],
        [1, 2, 3],
        [1, -1],
        2,
        "21",
        [1, "2"],
        [1, {}],
        [1, {"age": 0}],
        [{"age": "1"}, 1],
        {},
    ],
)
def test_trust_that_fits_no_teachers_is_refused(
    teachers: tuple[Path, Path], crops: Crops, tmp_path: Path, trust: Any
) -> None:
    with pytest.raises(ModelError, match=r"expected a number above 0, or a table .* for each of 2 models"):
        ask(teachers, [crops], tmp_path, trust)


def test_a_network_answers_only_what_it_has_a_head_for(
    teachers: tuple[Path, Path], crops: Crops, tmp_path: Path
) -> None:
    few = saved(tmp_path / "few.onnx", {**SMALL, "heads": ["age", "smile"]}, 5)
    assert ask([few], [crops], tmp_path).fields == ("age", "smile")
    alone, both = ask(teachers[:1], [crops], tmp_path), ask([teachers[0], few], [crops], tmp_path)
    np.testing.assert_array_equal(alone.sets[0]["gender"], both.sets[0]["gender"])
    assert (alone.sets[0]["age"] != both.sets[0]["age"])[3:].all()


def test_the_landmarks_of_an_answer_follow_the_crop_as_labels_do(crops: Crops) -> None:
    said = np.zeros(len(crops.faces), FACE)
    said["landmarks"] = crops.faces["landmarks"]
    said["smile"] = 25
    answers = Answers(("landmarks", "smile"), (said,))
    batch = Sampler([crops], [1.0], SCENES, answers=answers).batch(np.random.default_rng(4), 24)
    torch.testing.assert_close(batch["taught.landmarks"], batch["landmarks"])
    assert set(batch["taught.smile"].tolist()) == {0.25}
    plain = Sampler([crops], [1.0], SCENES).batch(np.random.default_rng(4), 24)
    assert not [name for name in plain if name.startswith("taught.")]
    assert torch.equal(plain["image"], batch["image"])


def as_answers(net: HeadedNet, image: Tensor) -> dict[str, Tensor]:
    """What a network says of crops, as the sampler brings answers."""
    with torch.no_grad():
        out = dict(zip((h.output for h in net.heads), net(prepared(image)), strict=True))
    code, found = age_code({}), {}
    for head in net.heads:
        value = out[head.output]
        if head.field not in TAUGHT:
            continue
        if head.kind == "group_age":
            value = code.decode(value)
        elif head.kind == "softmax":
            value = value.softmax(1)
        elif head.kind != "landmarks":
            value = value.sigmoid()
        found[f"taught.{head.field}"] = value
    return found


def test_who_answers_as_the_teacher_has_nothing_to_learn() -> None:
    same, image = net(SMALL, 1), unlabelled(6)["image"]
    lessons, answers = Lessons.of({"model": SMALL}), as_answers(same, image)
    with torch.no_grad():
        found = lessons.losses(same.raw(prepared(image)), answers)
        other = lessons.losses(net(SMALL, 2).raw(prepared(image)), answers)
    assert set(found) == set(TAUGHT)
    del found["age"]  # a code has a loss for its own years too
    assert all(abs(float(value)) < 1e-5 for value in found.values())
    assert all(float(other[name]) > float(value) + 1e-3 for name, value in found.items())


def test_crops_without_a_label_teach_every_head() -> None:
    student, batch = net(SMALL, 1).train(), unlabelled()
    batch |= as_answers(net(LARGE, 2), batch["image"])
    taught = FaceTask([], None, {"model": SMALL})  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(student.parameters(), lr=3e-3)
    history = []
    for _ in range(40):
        loss, parts = taught.loss(student, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history.append(parts)
    assert all(history[-1][f"taught.{name}"] < 0.8 * history[0][f"taught.{name}"] for name in TAUGHT)
    assert all(value == 0 for name, value in history[-1].items() if not name.startswith("taught."))


@pytest.mark.parametrize("age", ["softmax", "plain"])
def test_ages_are_taught_in_the_code_that_the_network_learns(age: str) -> None:
    config = {"model": {**SMALL, "age": age}}
    student, image = net(config["model"], 1), unlabelled(5)["image"]
    years, out = torch.tensor([5.0, 20, 35, 60, 80]), student.raw(prepared(image))
    found = Lessons.of(config).losses(out, {"taught.age": years})
    assert set(found) == {"age"}
    torch.testing.assert_close(found["age"], learnt_code(config).loss(out["age"], years).mean())


def test_the_weight_of_the_lessons_counts() -> None:
    student, batch = net(SMALL, 1), unlabelled(4)
    batch["gender"][:] = 1
    answers = as_answers(net(LARGE, 2), batch["image"])

    def total(weight: float, given: dict[str, Tensor]) -> float:
        config = {"model": SMALL, "teacher": {"weight": weight}}
        task = FaceTask([], None, config)  # type: ignore[arg-type]
        return float(task.loss(student, given)[0].detach())

    plain, single, double = total(1.0, batch), total(1.0, batch | answers), total(2.0, batch | answers)
    assert plain > 0
    assert double - plain == pytest.approx(2 * (single - plain), rel=1e-4)


def test_certain_answers_cost_no_infinity() -> None:
    student, image = net(SMALL, 1), unlabelled(2)["image"]
    certain = {name: value.round() for name, value in as_answers(student, image).items()}
    found = Lessons(heads({}), learnt_code({})).losses(student.raw(prepared(image)), certain)
    assert all(bool(value.isfinite()) for value in found.values())


def test_a_recipe_names_its_teachers(teachers: tuple[Path, Path], crops: Crops, tmp_path: Path) -> None:
    asked = partial(answers_of, sets=[crops], cache=tmp_path)
    found = asked({"model": SMALL, "teacher": {"models": [str(path) for path in teachers]}})
    assert found is not None
    assert found.sets[0].tobytes() == ask(teachers, [crops], tmp_path).sets[0].tobytes()
    assert asked({"model": SMALL}) is None


def test_teachers_that_cannot_teach_are_refused(
    teachers: tuple[Path, Path], crops: Crops, tmp_path: Path
) -> None:
    few = saved(tmp_path / "few.onnx", {**SMALL, "heads": ["age", "smile"]}, 5)
    detector = save_detector(tmp_path / "detector.onnx", "fp32")
    table = [
        ([], {}, "there is no network to learn from; name ONNX files"),
        ([tmp_path / "absent.onnx"], {}, r"there is no model file .*absent\.onnx"),
        ([detector], {}, r"detector\.onnx cannot teach a face network: it answers none of landmarks, age"),
        ([few], {"heads": ["pose"]}, "the teachers answer age, smile, of which the recipe's network learns"),
    ]
    for models, model, message in table:
        config = {"model": {**SMALL, **model}, "teacher": {"models": [str(path) for path in models]}}
        with pytest.raises(ModelError, match=message):
            answers_of(config, [crops], tmp_path)
    small = saved(tmp_path / "small.onnx", {**SMALL, "side": 96}, 5)
    with pytest.raises(ModelError, match=r"small\.onnx eats crops of 96x96 px; the cached ones are 112x112"):
        ask([teachers[0], small], [crops], tmp_path)


def test_the_taught_recipe_goes_on_with_the_network_of_the_untaught() -> None:
    taught, plain = (read_recipe(RECIPES / f"{name}.toml") for name in ("face-s-taught", "face-s-second"))
    assert taught["grown"]["checkpoint"] == "runs/face-s-second/best.pt"
    assert taught["teacher"]["models"][0] == f"runs/face-s-second/{plain['name']}.onnx"
    for table in ("name", "model", "weights", "quality", "jitter"):
        assert taught[table] == plain[table], table


@pytest.mark.parametrize(
    ("name", "least", "most"), [("detector-n", 48e6, 52e6), ("face-m", 106e6, 112e6), ("face-s", 44e6, 46e6)]
)
def test_networks_are_as_large_as_their_recipes_say(name: str, least: float, most: float) -> None:
    config = read_recipe(RECIPES / f"{name}.toml")
    assert least < macs_of(system_of(config), config) < most
