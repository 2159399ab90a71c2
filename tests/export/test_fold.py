"""Batch norms leave a graph, its answers stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ModelError
from vultus_export.fold import fold_batch_norms
from vultus_export.tidy import drop_dead

CHANNELS = 4
PARTS = ("weight", "bias", "mean", "var")


def graph(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int],
    outputs: Sequence[str] = ("y",),
    constants: bool = False,
) -> onnx.ModelProto:
    rng = np.random.default_rng(5)
    weights = {
        "a.weight": rng.normal(size=(CHANNELS, CHANNELS, 3, 3)),
        "a.bias": rng.normal(size=CHANNELS),
        **{
            f"n{k}.{part}": rng.uniform(0.5, 1.5, CHANNELS)
            for k in (1, 2)
            for part in ("weight", "bias", "mean", "var")
        },
    }
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    used = {name for node in nodes for name in node.input}
    tensors = [tensor for tensor in tensors if tensor.name in used]
    stored = (
        [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in tensors]
        if constants
        else []
    )
    made = helper.make_graph(
        [*stored, *nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        [] if constants else tensors,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def conv(source: str, target: str, bias: bool = False) -> onnx.NodeProto:
    return helper.make_node(
        "Conv", [source, "a.weight", *(["a.bias"] if bias else [])], [target], pads=[1] * 4
    )


def norm(source: str, target: str, index: int = 1, **attributes: int) -> onnx.NodeProto:
    names = [f"n{index}.{part}" for part in PARTS]
    node = helper.make_node("BatchNormalization", [source, *names], [target], epsilon=1e-3)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return node


def run(model: onnx.ModelProto, x: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values: list[npt.NDArray[np.float32]] = session.run(None, {"x": x})
    return values


IMAGE = [2, CHANNELS, 5, 5]
CASES = {
    "after a convolution": (graph([conv("x", "c"), norm("c", "y")], IMAGE), ["Conv"]),
    "after a convolution with bias": (graph([conv("x", "c", True), norm("c", "y")], IMAGE), ["Conv"]),
    "two in a row": (graph([conv("x", "c"), norm("c", "n"), norm("n", "y", 2)], IMAGE), ["Conv"]),
    "weights as constants": (graph([conv("x", "c"), norm("c", "y")], IMAGE, constants=True), None),
    "alone on a map": (graph([norm("x", "y")], IMAGE), ["Mul", "Add"]),
    "alone on a vector": (graph([norm("x", "y")], [3, CHANNELS]), ["Mul", "Add"]),
    "convolution used twice": (
        graph([conv("x", "c"), norm("c", "n"), helper.make_node("Add", ["c", "n"], ["y"])], IMAGE),
        ["Conv", "Mul", "Add", "Add"],
    ),
    "convolution that is an output": (
        graph([conv("x", "c"), norm("c", "y")], IMAGE, ["y", "c"]),
        ["Conv", "Mul", "Add"],
    ),
    "one weight for two convolutions": (
        graph([conv("x", "c"), norm("c", "n"), conv("n", "d"), norm("d", "y", 2)], IMAGE),
        ["Conv", "Conv"],
    ),
    "one norm used twice": (
        graph(
            [
                conv("x", "c"),
                norm("c", "n"),
                helper.make_node("Relu", ["n"], ["r"]),
                norm("r", "m"),
                norm("m", "y"),
            ],
            IMAGE,
        ),
        ["Conv", "Relu", "Mul", "Add", "Mul", "Add"],
    ),
    "none": (graph([conv("x", "y")], IMAGE), ["Conv"]),
}


@pytest.mark.parametrize("case", CASES)
def test_folding_keeps_the_answers(case: str) -> None:
    model, operators = CASES[case]
    x = np.random.default_rng(6).normal(
        size=[d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    )
    before = run(model, x.astype(np.float32))
    count = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    folded = onnx.ModelProto.FromString(model.SerializeToString())
    assert fold_batch_norms(folded) == count
    drop_dead(folded)
    onnx.checker.check_model(folded, full_check=True)
    found = [node.op_type for node in folded.graph.node if node.op_type != "Constant"]
    assert "BatchNormalization" not in found
    if operators is not None:
        assert found == operators
    for one, two in zip(before, run(folded, x.astype(np.float32)), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)


def test_training_mode_is_refused() -> None:
    model = graph([norm("x", "y", training_mode=1)], IMAGE)
    model.graph.node[0].name = "late"
    model.graph.node[0].output.extend(["mean", "var"])
    with pytest.raises(ModelError, match="BatchNormalization 'late' is in training mode; export"):
        fold_batch_norms(model)


def test_computed_statistics_are_refused() -> None:
    shift = helper.make_node("Abs", ["n1.mean"], ["computed"])
    node = norm("x", "y")
    node.input[3] = "computed"
    with pytest.raises(ModelError, match="takes 'computed', which is computed"):
        fold_batch_norms(graph([shift, node], IMAGE))
