"""Unfolding: a model file becomes a network in training that answers as the file does and learns on from there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from torch import Tensor, nn

from precision_nets import PRECISIONS, save_face
from vultus.errors import VultusError
from vultus.spec import ModelSpec
from vultus_export.exporter import onnx_from_module
from vultus_models.detector import kinds as detector
from vultus_models.face import kinds as face
from vultus_models.face.grow import grow
from vultus_models.training.begin import begin
from vultus_models.training.loop import Batch, Schedule
from vultus_models.training.unfold import unfold

SMALL: dict[str, Any] = {
    "stages": [[8, 1]] * 3 + [[8, 3], [16, 1]],
    "embedding": 16,
    "turn": 8,
    "dropout": 0.0,
}
LARGE: dict[str, Any] = {**SMALL, "stages": [[12, 2]] * 3 + [[8, 3], [24, 2]], "embedding": 24, "marks": 60}
HMT: dict[str, Any] = {"kind": "hmt", "heads": ["gender", "attractiveness"]}
TREE: dict[str, Any] = {"kind": "tree", "dropout": 0.0}
DETECTOR: dict[str, Any] = {"blocks": [1, 2, 0]}

FACES: list[tuple[str, dict[str, Any]]] = [
    ("every head", SMALL),
    ("a few heads", {**SMALL, "heads": ["age", "smile"]}),
    ("ages as a softmax", {**SMALL, "age": "softmax"}),
    ("hmt", HMT),
    ("tree", TREE),
]
DETECTORS: list[tuple[str, dict[str, Any]]] = [
    ("plain", DETECTOR),
    ("no blocks", {"blocks": [0, 0, 0]}),
    ("faceboxes", {"kind": "faceboxes"}),
]
KINDS = [("face", *case) for case in FACES] + [("detector", *case) for case in DETECTORS]


class Noise:
    """A task whose pictures are noise."""

    def __init__(self, side: int) -> None:
        self.side, self.asked = side, 0

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        self.asked += 1
        return {"image": torch.from_numpy(rng.standard_normal((size, 3, self.side, self.side), np.float32))}

    def pictures(self, batch: Batch) -> Tensor:
        return batch["image"]

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        raise NotImplementedError

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        raise NotImplementedError

    def complete(self, model: nn.Module, seed: int) -> dict[str, float]:
        raise NotImplementedError


SIDES = {"face": 112, "detector": 64}
SCHEDULE = Schedule(steps=1, batch=5, lr=0.1)


def network(system: str, model: dict[str, Any]) -> nn.Module:
    made: nn.Module = (face if system == "face" else detector).network({"model": model})
    return made


def saved(path: Path, system: str, model: dict[str, Any]) -> nn.Module:
    """Save a network whose norms have seen something, and return it."""
    torch.manual_seed(1)
    made = network(system, model).train()
    with torch.no_grad():
        for _ in range(5):
            made(torch.randn(8, 3, SIDES[system], SIDES[system]))
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.add_(0.3 * torch.randn_like(module.weight))
                module.bias.add_(0.3 * torch.randn_like(module.bias))
    contract: ModelSpec = (face if system == "face" else detector).spec({"model": model})
    made.eval()
    onnx.save(onnx_from_module(face.fold(made) if system == "face" else made, contract), path)  # type: ignore[type-var]
    return made


def pictures(count: int, side: int = 112) -> npt.NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((count, 3, side, side), np.float32)


def answers(model: nn.Module, given: npt.NDArray[np.float32]) -> list[Tensor]:
    with torch.no_grad():
        return list(model(torch.from_numpy(given)))


@pytest.mark.parametrize(("system", "name", "model"), KINDS, ids=["-".join(case[:2]) for case in KINDS])
def test_a_training_begins_with_what_a_file_knows(
    system: str, name: str, model: dict[str, Any], tmp_path: Path
) -> None:
    trained, task = saved(tmp_path / "released.onnx", system, model), Noise(SIDES[system])
    anew = network(system, model)
    begin(anew, tmp_path / "released.onnx", task, SCHEDULE, seed=3)
    crops = pictures(4, SIDES[system])
    for wanted, given in zip(answers(trained, crops), answers(anew.eval(), crops), strict=True):
        assert wanted.std() > 0
        torch.testing.assert_close(given, wanted, atol=2e-4, rtol=1e-3)
    assert task.asked == 1


def test_a_checkpoint_asks_for_no_pictures(tmp_path: Path) -> None:
    trained, task, anew = network("face", SMALL), Noise(112), network("face", SMALL)
    torch.save({"model": trained.state_dict()}, tmp_path / "best.pt")
    begin(anew, tmp_path / "best.pt", task, SCHEDULE, seed=3)
    torch.testing.assert_close(anew.state_dict(), trained.state_dict())
    assert task.asked == 0


def test_a_larger_network_grows_from_a_file(tmp_path: Path) -> None:
    trained, larger = saved(tmp_path / "face.onnx", "face", SMALL), network("face", LARGE).eval()
    crops = pictures(4)
    grow(larger, unfold(tmp_path / "face.onnx", larger, crops))
    for wanted, given in zip(answers(trained, crops), answers(larger, crops), strict=True):
        torch.testing.assert_close(given, wanted, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize(("system", "model"), [("face", SMALL), ("detector", DETECTOR)])
def test_norms_have_seen_the_pictures(system: str, model: dict[str, Any], tmp_path: Path) -> None:
    """In training a norm goes by its batch: with the batch that it was measured on, the network answers the same."""
    trained, anew = saved(tmp_path / "released.onnx", system, model), network(system, model)
    crops = pictures(7, SIDES[system])
    weights = unfold(tmp_path / "released.onnx", anew, crops, size=3)
    anew.load_state_dict(weights, strict=False)
    for wanted, given in zip(answers(trained, crops), answers(anew.train(), crops), strict=True):
        torch.testing.assert_close(given, wanted, atol=5e-4, rtol=2e-3)


def test_what_only_a_training_has_begins_at_random(tmp_path: Path) -> None:
    saved(tmp_path / "face.onnx", "face", SMALL)
    anew = network("face", SMALL)
    before = anew.get_parameter("auxiliary.weight").clone()
    begin(anew, tmp_path / "face.onnx", Noise(112), SCHEDULE, seed=3)
    assert torch.equal(anew.get_parameter("auxiliary.weight"), before)


@pytest.mark.parametrize("precision", [one for one in PRECISIONS if one != "fp32"])
def test_a_lower_precision_is_refused(precision: str, tmp_path: Path) -> None:
    path = save_face(tmp_path / "face.onnx", precision)
    with pytest.raises(VultusError, match=rf"is in {precision}; a training begins with a model file in fp32"):
        unfold(path, network("face", SMALL), pictures(1))


def damaged(folder: Path) -> Path:
    (folder / "none.onnx").write_bytes(b"no model")
    return folder / "none.onnx"


def of_a_detector(folder: Path) -> Path:
    saved(folder / "detector.onnx", "detector", DETECTOR)
    return folder / "detector.onnx"


def with_fewer_heads(folder: Path) -> Path:
    saved(folder / "few.onnx", "face", {**SMALL, "heads": ["age", "smile"]})
    return folder / "few.onnx"


def of_another_width(folder: Path) -> Path:
    saved(folder / "wide.onnx", "face", {**SMALL, "embedding": 24})
    return folder / "wide.onnx"


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (damaged, "is not an ONNX model or is damaged"),
    (lambda folder: folder / "absent.onnx", "cannot be read"),
    (lambda folder: save_face(folder / "other.onnx"), "no convolution that the recipe's network has"),
    (of_a_detector, "does not fit the network of this recipe|no convolution that the recipe's network has"),
    (with_fewer_heads, "few.onnx does not fit the network of this recipe"),
    (of_another_width, "wide.onnx does not fit the network of this recipe"),
]


@pytest.mark.parametrize(("made", "words"), REFUSED)
def test_what_does_not_fit_is_refused(made: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    with pytest.raises(VultusError, match=words):
        begin(network("face", SMALL), made(tmp_path), Noise(112), SCHEDULE, seed=3)
