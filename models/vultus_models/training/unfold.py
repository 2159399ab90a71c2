"""Weights of a model file as a network in training has them: `fold` undone, so that released weights can learn on.

Folding took every batch norm into its convolution, and there is no telling what the norm was. Any norm whose mean and
variance are those of what it sees, and whose gain and offset take them back, gives the same network; what it sees is
measured on pictures, by running the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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

NORMS = {".conv": ".norm", ".up": ".norm", ".0": ".1"}
"""How the name of a convolution that may have a norm ends -> how that of the norm does."""

SKIPPED = ".conv"
"""So ends the name of a convolution whose kernel has taken in the skip beside it, where the shape stays."""


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


def unfold(file: Path, network: nn.Module, pictures: Floats, size: int = 32) -> dict[str, Tensor]:
    """Return the weights of a model file in FP32 by the names that they have in training.

    network: of the kind of the weights, as large or larger. pictures: network input (n, 3, height, width) that the
    norms are measured on, `size` at a time. What only a training has is not among the weights. Raises ModelError where
    the file cannot be read, is in another precision or of another kind, SpecError where it is no model of this project.
    """
    model = _read(file)
    stored = _weights(model)
    known = set(network.state_dict())
    normed = [seen for node in model.graph.node if (seen := _normed(node, stored, known))]
    if not normed:
        raise ModelError(
            f"{file} has no convolution that the recipe's network has; give one exported from it"
        )
    _measure(model, normed, pictures, size)
    for one in normed:
        stored[f"{one.name}.weight"] = _without_skip(one, stored[f"{one.name}.weight"])
        del stored[f"{one.name}.bias"]
        stored |= {f"{_norm_of(one.name)}.{name}": value for name, value in one.norm().items()}
    return stored


def _without_skip(one: _Seen, weight: Tensor) -> Tensor:
    if not one.skip:
        return weight
    nn.init.dirac_(identity := torch.empty_like(weight))
    return weight - identity


def _read(file: Path) -> onnx.ModelProto:
    import onnx

    spec = spec_from_onnx(file)
    if spec.precision != "fp32":
        raise ModelError(f"{file} is in {spec.precision}; a training begins with a model file in fp32")
    return onnx.load(file)


def _weights(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Return the weights of the graph by name; constants that the export made have other names."""
    from onnx import numpy_helper

    every = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in model.graph.initializer}
    found = {name: value for name, value in every.items() if name.endswith((".weight", ".bias"))}
    for node in model.graph.node:
        if _has_bias(node):  # its own name is lost where it came from a norm, or equals another one
            found[f"{_name_of(node)}.bias"] = every[node.input[2]]
    return found


def _has_bias(node: onnx.NodeProto) -> bool:
    weighted = len(node.input) == 3 and node.input[1].endswith(".weight")
    return node.op_type in ("Conv", "Gemm") and weighted


def _name_of(node: onnx.NodeProto) -> str:
    name: str = node.input[1].removesuffix(".weight")
    return name


def _normed(node: onnx.NodeProto, stored: dict[str, Tensor], known: set[str]) -> _Seen | None:
    """Return the convolution of a node if it has a norm in the network, else None."""
    if node.op_type != "Conv" or not _has_bias(node):
        return None
    name = _name_of(node)
    if f"{_norm_of(name)}.running_mean" not in known:
        return None
    outside, inside = stored[f"{name}.weight"].shape[:2]
    strides = [list(one.ints) for one in node.attribute if one.name == "strides"]
    skip = name.endswith(SKIPPED) and outside == inside and strides in ([], [[1, 1]])
    return _Seen(name, node.input[0], node.output[0], skip, stored[f"{name}.bias"].numpy())


def _norm_of(convolution: str) -> str:
    """Return the name of a convolution's norm, empty where it has none."""
    for ending, norm in NORMS.items():
        if convolution.endswith(ending):
            return convolution.removesuffix(ending) + norm
    return ""


def _measure(model: onnx.ModelProto, normed: list[_Seen], pictures: Floats, size: int) -> None:
    import onnx
    import onnxruntime

    ours = model.graph.input[0].name
    wanted = sorted({name for one in normed for name in (one.given, one.made)} - {ours})
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for start in range(0, len(pictures), size):
        part = pictures[start : start + size]
        maps = dict(zip(wanted, session.run(wanted, {ours: part}), strict=True)) | {ours: part}
        for one in normed:
            one.add(maps[one.given], maps[one.made])
