"""Quality: what agreement is worth, and a head that tells worn crops from sound ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rated_faces import save_rated_faces
from vultus_models.face.data import plain_affines, plain_pictures
from vultus_models.face.evaluation import prepared
from vultus_models.face.heads import age_code, heads, spec
from vultus_models.face.network import FaceNet
from vultus_models.face.quality import Witness, quality_of, solve_quality
from vultus_models.face.system import build
from vultus_models.face.task import FaceTask

RECIPE: dict[str, Any] = {
    "name": "tiny-quality",
    "schedule": {"steps": 1, "batch": 16, "lr": 0.0},
    "model": {"stages": [[8, 1]] * 4 + [[16, 1]], "embedding": 16, "turn": 8},
    "quality": {"faces": 60},
    "data": {"shares": {"mebeauty": 1.0}},
}
FACE = np.zeros((68, 2))
FACE[36], FACE[45] = (-0.2, 0), (0.2, 0)

AGREEING: list[tuple[str, Any, Any, float]] = [
    ("softmax.gender", [[0.7, 0.3]], [[0.7, 0.3]], 1.0),
    ("softmax.gender", [[1.0, 0.0]], [[0.0, 1.0]], np.exp(-2.5)),
    ("softmax.expression", [[0.5, 0.5, 0.0]], [[0.5, 0.0, 0.5]], np.exp(-1.25)),
    ("sigmoid.facial_hair", [[1.0, 0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.0, 0.0]], np.exp(-0.5)),
    ("percent.smile", [[0.4]], [[0.8]], np.exp(-1.0)),
    ("group_age.age", [[30.0]], [[36.0]], np.exp(-1.0)),
    ("group_age.age", [[10.0]], [[90.0]], np.exp(-2.5)),
    ("landmarks.landmarks", FACE[None], FACE[None] + (0.0, 0.02), np.exp(-1.25)),
    ("landmarks.landmarks", FACE[None], FACE[None] + 9.0, np.exp(-2.5)),
]


@pytest.mark.parametrize(("name", "first", "second", "quality"), AGREEING)
def test_agreement_of_one_answer(name: str, first: Any, second: Any, quality: float) -> None:
    found = quality_of({name: np.asarray(first)}, {name: np.asarray(second)})
    assert found == pytest.approx([quality])


def test_heads_weigh_the_same_whatever_their_width() -> None:
    sound = {"percent.smile": np.array([[0.4]]), "softmax.gender": np.array([[1.0, 0.0]])}
    other = {**sound, "softmax.gender": np.array([[0.0, 1.0]])}
    assert quality_of(sound, other) == pytest.approx([np.exp(-1.25)])
    assert len(quality_of(*({name: value[:0] for name, value in sound.items()},) * 2)) == 0


def test_without_answers_there_is_no_quality() -> None:
    with pytest.raises(ValueError, match="it needs a head besides the pose"):
        quality_of({}, {})


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """A recipe with a cached set of faces that are plain areas, of any brightness."""
    save_rated_faces(tmp_path / "cache", 90, first_val=60)
    return {**RECIPE, "data": {**RECIPE["data"], "cache": str(tmp_path / "cache")}}


def test_only_the_head_is_solved_and_the_same_seed_gives_the_same(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    solved = []
    for _ in range(2):
        model, task, _schedule = build(recipe, tmp_path, 1)
        assert isinstance(task, FaceTask)
        before = {name: value.clone() for name, value in model.eval().state_dict().items()}
        figures = task.complete(model, 1)
        after = model.state_dict()
        changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
        assert changed == {"out.quality.weight", "out.quality.bias"}
        assert -1 <= figures["quality_rank"] <= 1
        solved.append(after["out.quality.weight"].clone())
    assert torch.equal(*solved)


def test_a_network_that_answers_worn_crops_otherwise_tells_them_apart(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    model, task, _ = build(recipe, tmp_path, 1)
    assert isinstance(task, FaceTask)
    assert isinstance(model, FaceNet)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("out.") and name.endswith("weight"):
                parameter.mul_(8)  # untrained answers are all alike
    figures = solve_quality(Witness(model.eval(), age_code(recipe)), task._sampler, 60, seed=1)
    assert figures["quality_rank"] > 0.3
    source = task._sampler.sets[0]
    chosen = np.flatnonzero(source.faces["val"])
    worn, _ = task._sampler.worn_crops(source, chosen, np.random.default_rng(5))
    place = [head.output for head in model.heads].index("quality")
    means = []
    for pictures in (plain_pictures(source, chosen), worn):
        crops = prepared(torch.from_numpy(pictures.copy()))
        with torch.no_grad():
            means.append(float(model(crops)[place].sigmoid().mean()))
    assert means[0] > means[1]


def test_landmarks_of_the_mirror_image_come_back_into_the_crop(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    from vultus_models.face.augment import FLIP_68
    from vultus_models.face.quality import _unmirrored

    places = np.random.default_rng(2).uniform(-0.5, 0.5, (3, 68, 2))
    mirrored = (places * (-1, 1))[:, FLIP_68]
    back = _unmirrored("landmarks.landmarks", mirrored, plain_affines(3))
    assert back == pytest.approx(places)
    moved = plain_affines(3)
    moved[:, :, 2] += (5.6, 0.0)
    shifted = _unmirrored("landmarks.landmarks", mirrored, moved)
    assert shifted == pytest.approx(places + np.array([0.05, 0.0]))


def test_quality_is_the_last_head_where_it_is_asked_for() -> None:
    assert heads(RECIPE)[-1].field == "quality"
    assert "facial hair and quality" in spec(RECIPE).description
    without = {key: value for key, value in RECIPE.items() if key != "quality"}
    assert "quality" not in {head.field for head in heads(without)}
    assert "quality" not in spec(without).description
    few = {**RECIPE, "model": {"heads": ["age"]}}
    assert [head.field for head in heads(few)] == ["age", "quality"]


def test_it_needs_faces_and_an_embedding(recipe: dict[str, Any], tmp_path: Path) -> None:
    model, task, _ = build(recipe, tmp_path, 1)
    assert isinstance(task, FaceTask)
    task._sampler.sets[0].faces["val"] = True
    with pytest.raises(ValueError, match="0 training faces are too few to learn quality from"):
        task.complete(model, 1)
    hmt = {**recipe, "model": {"kind": "hmt", "heads": ["gender"]}}
    with pytest.raises(
        ValueError, match="HMT network of 5 stages with the tasks gender, quality cannot be built"
    ):
        build(hmt, tmp_path, 1)
