"""A published trunk in our network: the same features, and files that are not of that trunk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import typer
from torch.nn import functional as F
from typer.testing import CliRunner

from vultus.errors import ModelError
from vultus_models.face.grow import grow
from vultus_models.face.mobilenet import BLOCKS, STEM, MobileNet
from vultus_models.teachers.faceres import MEAN, main, trunk_of, weights_in
from vultus_models.training.checkpoint import read_checkpoint

Floats = npt.NDArray[np.float32]

APP = typer.Typer()
APP.command()(main)


@pytest.fixture(scope="module")
def published() -> dict[str, Floats]:
    """Return random weights in the names and shapes of the published model."""
    rng = np.random.default_rng(5)

    def halved(values: npt.NDArray[np.floating]) -> Floats:
        return values.astype(np.float16).astype(np.float32)

    def kernel(*shape: int) -> Floats:
        return halved(rng.normal(size=shape) * (2 / np.prod(shape[:-1])) ** 0.5)

    def about(centre: float, count: int) -> Floats:
        return halved(rng.normal(centre, 0.1, count))

    found: dict[str, Floats] = {"conv1/convolution/merged_input": halved(kernel(3, 3, 3, STEM) / 32)}
    found["conv1_bn/batchnorm_1/sub"] = about(0.1, STEM)
    width = STEM
    for place, (outside, _) in enumerate(BLOCKS, 1):
        found[f"conv_dw_{place}/depthwise_kernel"] = kernel(3, 3, 1, width).transpose(0, 1, 3, 2)
        found[f"conv_dw_{place}_bn/batchnorm_1/mul"] = about(1.0, width)
        found[f"conv_dw_{place}_bn/batchnorm_1/sub"] = about(0.1, width)
        found[f"conv_pw_{place}/convolution/merged_input"] = kernel(1, 1, width, outside)
        found[f"conv_pw_{place}_bn/batchnorm_1/sub"] = about(0.1, outside)
        width = outside
    return found


def written(folder: Path, weights: dict[str, Floats]) -> Path:
    """Write weights as TensorFlow.js does, a whole number among them, and return the model's file."""
    entries: list[dict[str, Any]] = [{"name": "axis", "shape": [2], "dtype": "int32"}]
    stored = [np.array([1, 2], "<i4").tobytes()]
    for name, value in weights.items():
        half = {"dtype": "float16", "original_dtype": "float32"}
        entries.append({"name": name, "shape": value.shape, "dtype": "float32", "quantization": half})
        stored.append(value.astype("<f2").tobytes())
    (folder / "faceres.bin").write_bytes(b"".join(stored))
    path = folder / "faceres.json"
    path.write_text(json.dumps({"weightsManifest": [{"paths": ["faceres.bin"], "weights": entries}]}))
    return path


def published_features(weights: dict[str, Floats], bgr: torch.Tensor) -> torch.Tensor:
    """Return what the published network makes of BGR pixels (n, 3, side, side), beyond whose border all is 128."""
    x = F.pad(bgr, (0, 1, 0, 1), value=128.0) - torch.tensor(MEAN)[:, None, None]
    x = _activated(x, weights, "conv1/convolution/merged_input", "conv1_bn", stride=2)
    for place, (_, stride) in enumerate(BLOCKS, 1):
        depth = torch.from_numpy(weights[f"conv_dw_{place}/depthwise_kernel"].copy()).permute(2, 3, 0, 1)
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = F.conv2d(x, depth, None, stride, groups=x.shape[1])
        scale, shift = (
            torch.from_numpy(weights[f"conv_dw_{place}_bn/batchnorm_1/{part}"])[:, None, None]
            for part in ("mul", "sub")
        )
        x = F.relu6(x * scale + shift)
        x = _activated(x, weights, f"conv_pw_{place}/convolution/merged_input", f"conv_pw_{place}_bn")
    return x.mean(dim=(2, 3))


def _activated(
    x: torch.Tensor, weights: dict[str, Floats], kernel: str, norm: str, stride: int = 1
) -> torch.Tensor:
    weight = torch.from_numpy(weights[kernel].copy()).permute(3, 2, 0, 1)
    return F.relu6(F.conv2d(x, weight, torch.from_numpy(weights[f"{norm}/batchnorm_1/sub"]), stride))


def test_the_trunk_has_the_features_of_the_published_one(
    published: dict[str, Floats], tmp_path: Path
) -> None:
    read = weights_in(written(tmp_path, published))
    net = MobileNet({"model": {"heads": ["gender"], "seen": 64}}).eval()
    grow(net, trunk_of(read))
    seen: list[torch.Tensor] = []
    net.drop.register_forward_hook(lambda module, given, out: seen.append(out))
    bgr = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(1)).float()
    with torch.no_grad():
        net((bgr - 128) / 128)
        features = published_features(read, bgr)
    assert features.std() > 0.01
    torch.testing.assert_close(seen[0], features, rtol=1e-3, atol=1e-4)


def test_the_command_writes_a_checkpoint_to_begin_with(published: dict[str, Floats], tmp_path: Path) -> None:
    model, out = written(tmp_path, published), tmp_path / "new" / "trunk.pt"
    done = CliRunner().invoke(APP, [str(model), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "3,196,032 weights" in done.output
    stored = read_checkpoint(out)["model"]
    assert stored.keys() == {
        name for name in MobileNet({"model": {"heads": ["age"]}}).state_dict() if "trunk" in name
    }


def _cut(folder: Path) -> None:
    path = folder / "faceres.bin"
    path.write_bytes(path.read_bytes()[:-2])


def _longer(folder: Path) -> None:
    path = folder / "faceres.bin"
    path.write_bytes(path.read_bytes() + b"12")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "faceres.json").unlink(), "is not a model of TensorFlow.js"),
        (
            lambda folder: (folder / "faceres.bin").unlink(),
            "is not a model of TensorFlow.js with its weights beside it",
        ),
        (lambda folder: (folder / "faceres.json").write_text("[1]"), "is not a model of TensorFlow.js"),
        (lambda folder: (folder / "faceres.json").write_text("no JSON"), "is not a model of TensorFlow.js"),
        (_cut, "is not a model of TensorFlow.js"),
        (_longer, "the model tells of"),
    ],
)
def test_other_files_are_refused_and_nothing_is_written(
    published: dict[str, Floats], tmp_path: Path, harm: Any, words: str
) -> None:
    model, out = written(tmp_path, published), tmp_path / "trunk.pt"
    harm(tmp_path)
    done = CliRunner().invoke(APP, [str(model), "--out", str(out)])
    assert done.exit_code == 1
    assert words in " ".join(done.output.split())
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("conv_pw_13/convolution/merged_input", "trunk.13.1.weight is .*expected"),
        ("conv_dw_4_bn/batchnorm_1/sub", "trunk.4.0.bias is .*expected"),
        ("conv1_bn/batchnorm_1/sub", "broadcast"),
    ],
)
def test_weights_of_another_model_are_refused(published: dict[str, Floats], name: str, words: str) -> None:
    with pytest.raises(ModelError, match=f"not those of FaceRes.*{words}"):
        trunk_of({**published, name: np.repeat(published[name], 2, axis=-1)})
    with pytest.raises(ModelError, match=f"not those of FaceRes.*{name}"):
        trunk_of({key: value for key, value in published.items() if key != name})
