"""Weights of a model file as a network in training has them: `fold` undone, so that released weights can learn on.

Folding took every batch norm into its convolution, and there is no telling what the norm was. Any norm whose mean and
variance are those of what it sees, and whose gain and offset take them back, gives the same network; what it sees is
measured on pictures, by running the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx

if TYPE_CHECKING:
    import onnx

__all__ = ["unfold"]

Floats = npt.NDArray[np.float32]

EPS = nn.BatchNorm2d(1).eps

NORMS = {".conv": ".norm", ".0": ".1"}
"""How the name of a convolution that has a norm ends -> how that of the norm does."""


@dataclass
class _Seen:
    """A convolution with a norm, and the sums (outside,) of what that norm sees."""

    name: str
    given: str
    made: str
    skip: bool
    bias: Floats
    count: int = 0
    total: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    square: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))

    def add(self, given: Floats, made: Floats) -> None:
        """Count what came in and went out of the convolution."""
        bare = np.float64(made) - self.bias[:, None, None] - (given if self.skip else 0)
        self.count += bare[:, 0].size
        self.total = self.total + bare.sum(axis=(0, 2, 3))
        self.square = self.square + (bare**2).sum(axis=(0, 2, 3))

    def norm(self) -> dict[str, Tensor]:
        """Return the weights of the batch norm that leaves what it sees as it is, but for the bias."""
        mean = self.total / self.count
        spread = np.maximum(self.square / self.count - mean**2, 0)
        found = {
            "weight": np.sqrt(spread + EPS),
            "bias": mean + self.bias,
            "running_mean": mean,
            "running_var": spread,
        }
        weights = {name: torch.from_numpy(value.astype(np.float32)) for name, value in found.items()}
        return {**weights, "num_batches_tracked": torch.tensor(0)}


def unfold(path: Path, crops: Floats, size: int = 32) -> dict[str, Tensor]:
    """Return the weights of a face network from its model file, by the names that the network has in training.

    crops: (n, 3, side, side) network input that the norms are measured on. What only a training has is not among the
    weights. Raises ModelError where the file is no face network in FP32 of this project's export.
    """
    model = _read(path)
    stored = _weights(model)
    normed = [seen for node in model.graph.node if (seen := _normed(node, stored))]
    if not normed:
        raise ModelError(
            f"{path} has no convolution that a recipe's network would have; give one exported here"
        )
    _measure(model, normed, crops, size)
    for one in normed:
        weight = torch.from_numpy(stored.pop(f"{one.name}.weight"))
        if one.skip:
            nn.init.dirac_(identity := torch.empty_like(weight))
            weight = weight - identity
        del stored[f"{one.name}.bias"]
        norm = _norm_of(one.name)
        stored[f"{one.name}.weight"] = weight.numpy()
        stored |= {f"{norm}.{name}": value.numpy() for name, value in one.norm().items()}
    return {name: torch.from_numpy(value) for name, value in stored.items()}


def _read(path: Path) -> onnx.ModelProto:
    import onnx

    spec = spec_from_onnx(path)
    if spec.task != "face" or spec.precision != "fp32":
        raise ModelError(
            f"{path} is a {spec.task} network in {spec.precision}; a training begins with a face network in fp32"
        )
    return onnx.load(path)


def _weights(model: onnx.ModelProto) -> dict[str, Any]:
    """Return the weights of the graph by name; constants that the export made have no such names."""
    from onnx import numpy_helper

    kept = (one for one in model.graph.initializer if one.name.endswith((".weight", ".bias")))
    return {one.name: numpy_helper.to_array(one).copy() for one in kept}


def _normed(node: onnx.NodeProto, stored: dict[str, Any]) -> _Seen | None:
    """Return the convolution of a node if it had a norm, else None."""
    if node.op_type != "Conv" or len(node.input) < 3:
        return None
    name = node.input[1].removesuffix(".weight")
    if not _norm_of(name):
        return None
    weight = stored[node.input[1]]
    strides = [list(one.ints) for one in node.attribute if one.name == "strides"]
    stays = weight.shape[0] == weight.shape[1] and strides in ([], [[1, 1]])
    return _Seen(name, node.input[0], node.output[0], name.endswith(".conv") and stays, stored[node.input[2]])


def _norm_of(convolution: str) -> str:
    """Return the name of a convolution's norm, empty where it has none."""
    for ending, norm in NORMS.items():
        if convolution.endswith(ending):
            return convolution.removesuffix(ending) + norm
    return ""


def _measure(model: onnx.ModelProto, normed: list[_Seen], crops: Floats, size: int) -> None:
    import onnx
    import onnxruntime

    ours = model.graph.input[0].name
    wanted = sorted({name for one in normed for name in (one.given, one.made)} - {ours})
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for start in range(0, len(crops), size):
        part = crops[start : start + size]
        maps = dict(zip(wanted, session.run(wanted, {ours: part}), strict=True)) | {ours: part}
        for one in normed:
            one.add(maps[one.given], maps[one.made])
