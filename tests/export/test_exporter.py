"""A PyTorch network becomes one clean ONNX graph that says the same and carries its spec."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

import nets
from vultus.errors import ModelError, SpecError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import Head, ModelSpec
from vultus_export.exporter import OPSET, onnx_from_module
from vultus_export.files import save_model
from vultus_export.inputs import random_inputs
from vultus_export.parity import check_parity
from vultus_export.runners import onnx_runner, torch_runner
from vultus_export.specfile import output_names
from vultus_export.tidy import spec_of


class Exported(NamedTuple):
    """A graph with the network and the spec that it was made from."""

    model: onnx.ModelProto
    network: nn.Module
    spec: ModelSpec


@pytest.fixture(params=["face", "detector"])
def exported(request: pytest.FixtureRequest) -> Exported:
    if request.param == "face":
        return Exported(request.getfixturevalue("face_model"), nets.make_face(), nets.FACE)
    return Exported(request.getfixturevalue("detector_model"), nets.make_detector(), nets.DETECTOR)


def test_answers_as_pytorch_does(exported: Exported) -> None:
    model, network, spec = exported
    reference = torch_runner(network, output_names(spec))
    found = check_parity(reference, onnx_runner(model, spec), spec, random_inputs(spec.input))
    assert [item.output for item in found] == list(output_names(spec))


def test_no_normalisation_is_left(exported: Exported) -> None:
    operators = {node.op_type for node in exported.model.graph.node}
    assert operators & {"Conv", "Gemm"}
    assert not operators & {"BatchNormalization", "Dropout", "Identity", "NonMaxSuppression"}


def test_carries_its_spec_and_nothing_of_the_machine(exported: Exported, tmp_path: Path) -> None:
    save_model(exported.model, tmp_path / "model.onnx")
    assert spec_from_onnx(tmp_path / "model.onnx") == exported.spec
    assert [(item.domain, item.version) for item in exported.model.opset_import] == [("", OPSET)]
    data = (tmp_path / "model.onnx").read_bytes()
    for trace in (b".py", b"site-packages", b"torch", str(Path.cwd()).encode(), str(Path.home()).encode()):
        assert trace not in data


def test_nodes_are_named_after_the_modules(exported: Exported) -> None:
    names = [node.name for node in exported.model.graph.node]
    assert len(set(names)) == len(names)
    weighted = {node.name for node in exported.model.graph.node if node.op_type in ("Conv", "Gemm")}
    assert weighted
    assert weighted <= set(dict(exported.network.named_modules()))


def test_free_dimensions_are_named(exported: Exported) -> None:
    graph, given = exported.model.graph, exported.spec.input
    shape = [dim.dim_param or dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    sides = ["height", "width"] if given.multiple else [given.height, given.width]
    assert shape == ["batch", 3, *sides]
    assert all(output.type.tensor_type.shape.dim[0].dim_param == "batch" for output in graph.output)


def test_the_network_is_left_as_it_was() -> None:
    network = nets.make_face().train()
    before = copy.deepcopy(network.state_dict())
    onnx_from_module(network, nets.FACE)
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.slow
def test_equal_input_gives_equal_bytes_in_another_process(
    face_model: onnx.ModelProto, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; import nets\n"
        "from vultus_export.exporter import onnx_from_module\n"
        "from vultus_export.files import save_model\n"
        "save_model(onnx_from_module(nets.make_face(), nets.FACE), Path(sys.argv[1]))"
    )
    path = os.pathsep.join(item for item in sys.path if item)
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": path}
    there, here = tmp_path / "there.onnx", tmp_path / "here.onnx"
    subprocess.run([sys.executable, "-c", script, str(there)], check=True, env=environment, cwd=tmp_path)
    save_model(face_model, here)
    assert there.read_bytes() == here.read_bytes()


def test_heads_that_are_left_out_are_not_in_the_graph(face_model: onnx.ModelProto) -> None:
    model = onnx_from_module(nets.make_face(), nets.FACE, ["smile", "age"])
    assert [output.name for output in model.graph.output] == ["age", "smile"]
    assert [head.field for head in spec_of(model).heads] == ["age", "smile"]
    assert {node.name for node in model.graph.node if node.op_type == "Gemm"} == {"heads.age", "heads.smile"}
    kept = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    assert not [name for name in kept if "gender" in name or "auxiliary" in name]
    whole = next(item for item in face_model.graph.initializer if item.name == "heads.age.weight")
    assert (kept["heads.age.weight"] == numpy_helper.to_array(whole)).all()


class Broken(nn.Module):
    """Gives what it is told to give."""

    def __init__(self, give: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.give = give

    def forward(self, image: Tensor) -> Any:
        return self.give(image)


SMILE = replace(nets.FACE, heads=(Head("smile", "percent", "smile"),))
BROKEN: list[tuple[str, Callable[[Tensor], Any], str]] = [
    ("wrong name", lambda x: {"grin": x.mean((1, 2))}, "gives ['grin'], its spec promises ['smile'] too"),
    ("too many", lambda x: (x.mean((1, 2)), x), "gives 2 (Tensor, Tensor), its spec promises ['smile']"),
    ("no tensor", lambda x: 3.0, "gives 1 (float), its spec promises ['smile']"),
    ("wrong width", lambda x: x.mean((2, 3)), "'smile' is (2, 3), not (2, 1)"),
    ("fixed batch", lambda x: x.reshape(2, -1).mean(1, keepdim=True), "cannot export model 'small-face'"),
    (
        "decides by data",
        lambda x: x.mean((1, 2)) if x.sum() > 0 else -x.mean((1, 2)),
        "PyTorch cannot export",
    ),
]


@pytest.mark.parametrize(("case", "give", "message"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_network_that_does_not_fit_is_refused(
    case: str, give: Callable[[Tensor], Any], message: str
) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        onnx_from_module(Broken(give), SMILE)


@pytest.mark.parametrize(
    ("spec", "attributes", "message"),
    [
        (
            nets.FACE,
            ["age", "beard"],
            "cannot keep beard of model 'small-face'; it has age, expression, gender",
        ),
        (nets.FACE, [], "cannot keep nothing of model 'small-face'"),
        (
            nets.DETECTOR,
            ["age"],
            "cannot keep age of model 'small-detector'; it has no heads, it is a detector",
        ),
    ],
)
def test_attributes_that_are_not_there_are_refused(
    spec: ModelSpec, attributes: list[str], message: str
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        onnx_from_module(nets.make_face(), spec, attributes)


def test_a_detector_whose_maps_do_not_fit_is_refused() -> None:
    assert nets.DETECTOR.detector is not None
    levels = nets.DETECTOR.detector.levels
    stretched = replace(levels[1], stride=8)
    spec = replace(nets.DETECTOR, detector=replace(nets.DETECTOR.detector, levels=(levels[0], stretched)))
    with pytest.raises(ModelError, match=re.escape("'coarse' is (2, 15, 4, 6), not (2, 15, 8, 12)")):
        onnx_from_module(nets.make_detector(), spec)


def test_sides_that_the_network_cannot_take_are_refused() -> None:
    spec = replace(nets.DETECTOR, input=replace(nets.DETECTOR.input, multiple=8))
    with pytest.raises(
        ModelError, match=re.escape("model 'small-detector' fails on an input (2, 3, 24, 40)")
    ):
        onnx_from_module(nets.make_detector(), spec)
