"""Unfolding: a model file becomes a network in training that answers as the file does and learns on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from precision_nets import PRECISIONS, save_detector, save_face
from vultus.errors import VultusError
from vultus_export.exporter import onnx_from_module
from vultus_models.face.grow import grow
from vultus_models.face.kinds import fold, network, spec
from vultus_models.face.network import HeadedNet
from vultus_models.face.unfold import unfold

SMALL: dict[str, Any] = {
    "stages": [[8, 1]] * 3 + [[8, 3], [16, 1]],
    "embedding": 16,
    "turn": 8,
    "dropout": 0.0,
}
LARGE: dict[str, Any] = {**SMALL, "stages": [[12, 2]] * 3 + [[8, 3], [24, 2]], "embedding": 24, "marks": 60}

HMT: dict[str, Any] = {"kind": "hmt", "heads": ["gender", "attractiveness"]}

MODELS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("the same size", SMALL, SMALL),
    ("a few heads", {**SMALL, "heads": ["age", "smile"]}, {**SMALL, "heads": ["age", "smile"]}),
    ("ages as a softmax", {**SMALL, "age": "softmax"}, {**SMALL, "age": "softmax"}),
    ("a larger one", SMALL, LARGE),
    ("hmt", HMT, HMT),
]


def saved(path: Path, model: dict[str, Any]) -> HeadedNet:
    """Save a network whose norms have seen something, and return it."""
    torch.manual_seed(1)
    made = network({"model": model}).train()
    with torch.no_grad():
        for _ in range(5):
            made.raw(torch.randn(8, 3, 112, 112))
        for name, value in made.named_parameters():
            if ".norm." in name or name.endswith("1.weight"):
                value.add_(0.3 * torch.randn_like(value))
    onnx.save(onnx_from_module(fold(made.eval()), spec({"model": model})), path)
    return made


def pictures(count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((count, 3, 112, 112), np.float32)


@pytest.mark.parametrize(("name", "model", "begun"), MODELS, ids=[case[0] for case in MODELS])
def test_a_network_begins_with_what_a_file_knows(
    name: str, model: dict[str, Any], begun: dict[str, Any], tmp_path: Path
) -> None:
    trained = saved(tmp_path / "face.onnx", model)
    crops = pictures(4)
    anew = network({"model": begun}).eval()
    grow(anew, unfold(tmp_path / "face.onnx", crops))
    wanted, given = (one.raw(torch.from_numpy(crops)) for one in (trained, anew))
    for head in anew.heads:
        assert wanted[head.output].std() > 0
        torch.testing.assert_close(given[head.output], wanted[head.output], atol=1e-4, rtol=1e-4)


def test_norms_have_seen_the_pictures(tmp_path: Path) -> None:
    """In training a norm goes by its batch: with the batch that it was measured on, the network answers the same."""
    trained = saved(tmp_path / "face.onnx", SMALL)
    crops = pictures(7)
    anew = network({"model": SMALL})
    grow(anew, unfold(tmp_path / "face.onnx", crops, size=3))
    wanted, given = trained.raw(torch.from_numpy(crops)), anew.train().raw(torch.from_numpy(crops))
    for head in anew.heads:
        torch.testing.assert_close(given[head.output], wanted[head.output], atol=2e-4, rtol=1e-3)


def test_what_only_a_training_has_begins_at_random(tmp_path: Path) -> None:
    saved(tmp_path / "face.onnx", SMALL)
    weights = unfold(tmp_path / "face.onnx", pictures(2))
    assert not [name for name in weights if name.startswith("auxiliary")]
    anew = network({"model": SMALL})
    before = anew.get_parameter("auxiliary.weight").clone()
    grow(anew, weights)
    assert torch.equal(anew.get_parameter("auxiliary.weight"), before)


@pytest.mark.parametrize("precision", [one for one in PRECISIONS if one != "fp32"])
def test_a_lower_precision_is_refused(precision: str, tmp_path: Path) -> None:
    path = save_face(tmp_path / "face.onnx", precision)
    with pytest.raises(VultusError, match=rf"is a face network in {precision}; .* a face network in fp32"):
        unfold(path, pictures(1))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.onnx").write_bytes(b"no model")
    refused = {
        tmp_path / "none.onnx": "is not an ONNX model or is damaged",
        tmp_path / "absent.onnx": "cannot be read",
        save_detector(tmp_path / "detector.onnx", "fp32"): "is a detector network in fp32",
        save_face(tmp_path / "other.onnx", "fp32"): "has no convolution that a recipe's network would have",
    }
    for path, words in refused.items():
        with pytest.raises(VultusError, match=words):
            unfold(path, pictures(1))
