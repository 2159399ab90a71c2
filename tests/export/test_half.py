"""FP16 in the types of a graph, FP32 at its ends, and FP32 where it was asked for or is needed."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nets
from vultus.errors import ModelError
from vultus.spec import ModelSpec
from vultus_export.contract import check_graph
from vultus_export.inputs import random_inputs
from vultus_export.parity import check_parity
from vultus_export.quantize.half import half_precision
from vultus_export.runners import onnx_runner

HALF, FULL = TensorProto.FLOAT16, TensorProto.FLOAT


@pytest.fixture(params=["face", "detector"])
def master(request: pytest.FixtureRequest) -> tuple[onnx.ModelProto, ModelSpec]:
    spec = nets.FACE if request.param == "face" else nets.DETECTOR
    return request.getfixturevalue(f"{request.param}_model"), spec


def types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every value of a graph."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    infos = [*graph.value_info, *graph.input, *graph.output]
    found = {info.name: info.type.tensor_type.elem_type for info in infos}
    return found | {item.name: item.data_type for item in graph.initializer}


def test_everything_inside_is_half_and_the_answers_stay(master: tuple[onnx.ModelProto, ModelSpec]) -> None:
    model, spec = master
    before = model.SerializeToString()
    half = half_precision(model)
    check_graph(half)
    assert model.SerializeToString() == before
    kinds = types(half)
    ends = {item.name for item in [*half.graph.input, *half.graph.output]}
    assert {kinds[name] for name in ends} == {FULL}
    for node in half.graph.node:
        if node.op_type in ("Conv", "Gemm", "Relu", "Add", "Mul"):
            assert {kinds[name] for name in [*node.input, *node.output]} == {HALF}, node.name
    lowered = nets.with_precision(spec, "fp16")
    found = check_parity(
        onnx_runner(model, spec), onnx_runner(half, spec), lowered, random_inputs(spec.input)
    )
    assert max(item.error for item in found) > 0
    assert Counter(node.op_type for node in half.graph.node)["Cast"] == 1 + len(half.graph.output)


def test_kept_layers_compute_in_full(detector_model: onnx.ModelProto) -> None:
    names = ["stem.0.0", "stem.0.2/relu", "coarse"]
    half = half_precision(detector_model, names)
    check_graph(half)
    kinds = types(half)
    for node in half.graph.node:
        if node.op_type == "Conv":
            wanted = FULL if node.name in names else HALF
            assert {kinds[name] for name in [*node.input, *node.output]} == {wanted}, node.name
    produced = {name: node for node in half.graph.node for name in node.output}
    relu = produced["stem.0.2/relu:full"]
    assert produced[relu.input[0]].name == "stem.0.0", "neighbours in FP32 pass FP32 on, with no cast between"
    assert produced["coarse"].op_type == "Conv", "an output that is computed in FP32 is not cast"


def test_keeping_everything_changes_nothing(detector_model: onnx.ModelProto) -> None:
    half = half_precision(detector_model, [node.name for node in detector_model.graph.node])
    (image,) = list(random_inputs(nets.DETECTOR.input, (2,)))
    one, two = (onnx_runner(model, nets.DETECTOR)(image) for model in (detector_model, half))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert "Cast" not in {node.op_type for node in half.graph.node}


def test_weights_that_fp16_cannot_hold_stay_full(face_model: onnx.ModelProto) -> None:
    model = copy.deepcopy(face_model)
    for item in model.graph.initializer:
        if item.name == "heads.smile.bias":
            item.CopyFrom(numpy_helper.from_array(np.array([1e5], np.float32), item.name))
    half = half_precision(model)
    check_graph(half)
    assert types(half)["heads.smile.bias:full"] == FULL
    (image,) = list(random_inputs(nets.FACE.input, (1,)))
    assert onnx_runner(half, nets.FACE)(image)["smile"][0, 0] == pytest.approx(1e5, rel=1e-4)


def graph(nodes: list[onnx.NodeProto], outputs: list[str]) -> onnx.ModelProto:
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FULL, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info(name, FULL, [None] * 4) for name in outputs],
        [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "sizes")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


CASES = {
    "resize keeps its scales": [
        helper.make_node("Resize", ["x", "", "sizes"], ["y"], name="up"),
    ],
    "constants of any kind": [
        helper.make_node(
            "Constant", [], ["c"], value=numpy_helper.from_array(np.full((1, 1, 1, 1), 0.5, np.float32))
        ),
        helper.make_node("Mul", ["x", "c"], ["y"], name="scaled"),
    ],
    "a cast to float": [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT32, name="floor"),
        helper.make_node("Cast", ["i"], ["y"], to=FULL, name="back"),
    ],
    "an output that is also read inside": [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("Neg", ["r"], ["y"], name="neg"),
    ],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("keep", [False, True])
def test_odd_graphs(case: str, keep: bool) -> None:
    outputs = ["r", "y"] if "also read" in case else ["y"]
    model = graph(CASES[case], outputs)
    half = half_precision(model, [node.name for node in model.graph.node] if keep else ())
    onnx.checker.check_model(half, full_check=True)
    x = np.random.default_rng(3).normal(size=(2, 3, 4, 4)).astype(np.float32) * 4
    one, two = (onnx_runner(each, nets.RAW)(x) for each in (model, half))
    for name in outputs:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-3, atol=1 if "cast" in case else 2e-3)
        assert two[name].dtype == np.float32


def test_inner_graphs_are_refused() -> None:
    inner = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["b"])], "then", [], [helper.make_tensor_value_info("b", FULL, None)]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    with pytest.raises(ModelError, match="model 'g' has inner graphs"):
        half_precision(graph([node], ["y"]))
