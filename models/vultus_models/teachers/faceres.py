"""The trunk of FaceRes, as published for TensorFlow.js, turned into a checkpoint that a recipe can begin with.

    python -m vultus_models.teachers.faceres human-models/models/faceres.json --out runs/faceres/trunk.pt

FaceRes (Savchenko 2019, doi 10.7717/peerj-cs.197) is a MobileNet v1 that was trained on VGGFace2 to tell people apart.
It reads BGR pictures less their mean; the first kernel is changed so that it reads what our networks do.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer
from torch import Tensor

from vultus.errors import ModelError
from vultus_models.face.mobilenet import BLOCKS, MobileNet
from vultus_models.training.checkpoint import write_checkpoint

__all__ = ["main", "trunk_of", "weights_in"]

Floats = npt.NDArray[np.float32]

MEAN = (103.939, 116.779, 123.68)
"""What its pictures were less, in blue, green and red."""

GREY, RANGE = 128.0, 128.0
"""Our networks read (pixel - GREY) / RANGE."""

TYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "int32": np.dtype("<i4"),
}


def weights_in(manifest: Path) -> dict[str, Floats]:
    """Return the weights of a TensorFlow.js model by name; raises ModelError unless it is one in these number types."""
    try:
        groups = json.loads(manifest.read_text("utf-8"))["weightsManifest"]
        return {name: value for group in groups for name, value in _group(manifest.parent, group).items()}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{manifest} is not a model of TensorFlow.js with its weights beside it: {error}"
        ) from error


def _group(folder: Path, group: dict[str, Any]) -> dict[str, Floats]:
    stored = b"".join((folder / path).read_bytes() for path in group["paths"])
    found, start = {}, 0
    for one in group["weights"]:
        kind, count = TYPES[one.get("quantization", one)["dtype"]], prod(one["shape"])
        values = np.frombuffer(stored, kind, count, start)
        found[str(one["name"])] = values.reshape(one["shape"]).astype(np.float32)
        start += values.nbytes
    if start != len(stored):
        raise ValueError(f"the weights have {len(stored)} bytes, the model tells of {start}")
    return found


def trunk_of(weights: dict[str, Floats]) -> dict[str, Tensor]:
    """Return the trunk by the names of our `MobileNet`; raises ModelError where a weight is not there or misshapen."""
    try:
        found = _stem(weights)
        for place in range(1, len(BLOCKS) + 1):
            scale = weights[f"conv_dw_{place}_bn/batchnorm_1/mul"]
            depth = weights[f"conv_dw_{place}/depthwise_kernel"].transpose(2, 3, 0, 1)
            point = weights[f"conv_pw_{place}/convolution/merged_input"].transpose(3, 2, 0, 1)
            found |= {
                f"trunk.{place}.0.weight": depth * scale[:, None, None, None],
                f"trunk.{place}.0.bias": weights[f"conv_dw_{place}_bn/batchnorm_1/sub"],
                f"trunk.{place}.1.weight": point,
                f"trunk.{place}.1.bias": weights[f"conv_pw_{place}_bn/batchnorm_1/sub"],
            }
        return _fitting(
            {name: torch.from_numpy(np.array(value, np.float32)) for name, value in found.items()}
        )
    except (KeyError, ValueError) as error:
        raise ModelError(f"the weights are not those of FaceRes: {error}") from error


def _fitting(trunk: dict[str, Tensor]) -> dict[str, Tensor]:
    with torch.device("meta"):
        ours = MobileNet({"model": {"heads": ["gender"]}}).trunk.state_dict(prefix="trunk.")
    for name, one in trunk.items():
        if one.shape != ours[name].shape:
            raise ValueError(f"{name} is {tuple(one.shape)}; expected {tuple(ours[name].shape)}")
    return trunk


def _stem(weights: dict[str, Floats]) -> dict[str, Floats]:
    kernel = weights["conv1/convolution/merged_input"].transpose(3, 2, 0, 1)
    moved = np.einsum("oihw,i->o", kernel, GREY - np.array(MEAN))
    bias = weights["conv1_bn/batchnorm_1/sub"] + moved.astype(np.float32)
    return {"trunk.0.weight": kernel * np.float32(RANGE), "trunk.0.bias": bias}


def main(
    model: Annotated[
        Path, typer.Argument(help="faceres.json of the package human-models, its weights beside it.")
    ],
    out: Annotated[Path, typer.Option(help="Where the checkpoint is written.")],
) -> None:
    """Write the trunk of FaceRes as a checkpoint for the table [grown] of a recipe."""
    try:
        trunk = trunk_of(weights_in(model))
        out.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint({"model": trunk}, out)
    except (ModelError, OSError) as error:
        typer.echo(f"faceres: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{out}: {sum(one.numel() for one in trunk.values()):,} weights")


if __name__ == "__main__":
    typer.run(main)
