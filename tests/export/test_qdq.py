"""Explicit INT8: which layers, which integers, which scales, and answers that stay near."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import nets
from vultus.errors import ModelError
from vultus_export.contract import check_graph
from vultus_export.inputs import random_inputs
from vultus_export.quantize.half import half_precision
from vultus_export.quantize.qdq import Layer, layers, representable, with_qdq
from vultus_export.runners import onnx_runner

FULL = TensorProto.FLOAT


def stored(model: onnx.ModelProto, name: str) -> Any:
    return numpy_helper.to_array(next(item for item in model.graph.initializer if item.name == name))


def limits(model: onnx.ModelProto, value: float = 4.0) -> dict[str, float]:
    return {layer.activation: value for layer in layers(model)}


@given(st.floats(0, 60000))
def test_scales_are_fp16_numbers_and_never_too_small(scale: float) -> None:
    found = representable(scale)
    assert found == found.astype(np.float16).astype(np.float32)
    assert found >= np.float32(scale)
    assert found <= max(scale * (1 + 2**-4 if scale < 2**-14 else 1 + 2**-10), 2**-20)


def test_every_weighted_layer_is_found(face_model: onnx.ModelProto, detector_model: onnx.ModelProto) -> None:
    names = [layer.name for layer in layers(detector_model)]
    assert names == [node.name for node in detector_model.graph.node if node.op_type == "Conv"]
    assert len(layers(face_model)) == 2 + len(nets.WIDTHS)
    assert layers(detector_model)[0] == Layer("stem.0.0", "image", "stem.0.0.weight", 0)


def test_pairs_stand_only_ahead_of_layers(detector_model: onnx.ModelProto) -> None:
    before = detector_model.SerializeToString()
    int8 = with_qdq(detector_model, limits(detector_model))
    check_graph(int8)
    assert detector_model.SerializeToString() == before
    producer = {name: node for node in int8.graph.node for name in node.output}
    users: dict[str, list[str]] = {}
    for node in int8.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node.op_type)
        if node.op_type == "Conv":
            assert [producer[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2
        if node.op_type == "DequantizeLinear":
            assert set(users.get(node.output[0], [])) <= {"Conv"}
    assert all(
        (stored(int8, item.name) == 0).all() for item in int8.graph.initializer if item.name.endswith(":zero")
    )
    assert not [item.name for item in int8.graph.initializer if item.name.endswith("conv.weight")]


def test_integers_are_the_rounded_weights(face_model: onnx.ModelProto) -> None:
    int8 = with_qdq(face_model, limits(face_model))
    for layer in layers(face_model):
        weight, integers = stored(face_model, layer.weight), stored(int8, f"{layer.weight}:int8")
        scale = stored(int8, f"{layer.weight}:scale")
        assert integers.dtype == np.int8
        assert scale.shape == (weight.shape[layer.axis],)
        steps = scale.reshape([-1 if k == layer.axis else 1 for k in range(weight.ndim)])
        assert (np.abs(integers * steps - weight) <= steps * 0.5001).all()
        assert np.abs(integers).max() <= 127
        assert (
            np.abs(integers).max(axis=tuple(k for k in range(weight.ndim) if k != layer.axis)) >= 126
        ).all()


@pytest.mark.parametrize(("precision", "rtol"), [("int8", 0.03), ("int8-fp16", 0.04)])
def test_answers_stay_near(precision: str, rtol: float, detector_model: onnx.ModelProto) -> None:
    (image,) = list(random_inputs(nets.DETECTOR.input, (2,)))
    own = copy.deepcopy(detector_model)
    watched = [layer.activation for layer in layers(own) if layer.activation != "image"]
    own.graph.output.extend(helper.make_tensor_value_info(name, FULL, None) for name in watched)
    values = onnx_runner(own, nets.DETECTOR)(image)
    tops = {name: float(np.abs(values[name]).max()) for name in watched} | {
        "image": float(np.abs(image).max())
    }
    int8 = with_qdq(detector_model, tops)
    model = half_precision(int8) if precision == "int8-fp16" else int8
    check_graph(model)
    wanted, got = values, onnx_runner(model, nets.DETECTOR, precision)(image)
    for name in got:
        assert 0 < np.abs(got[name] - wanted[name]).max() < rtol * np.abs(wanted[name]).max()


def test_agrees_with_onnx_runtimes_own_quantizer(detector_model: onnx.ModelProto, tmp_path: Path) -> None:
    """An independent implementation, with the settings that suit TensorRT, finds the same integers and answers."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    (image,) = list(random_inputs(nets.DETECTOR.input, (1,)))

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [{"image": image}]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    kinds = ["Conv", "Gemm", "MatMul"]
    onnx.save(detector_model, tmp_path / "in.onnx")
    quantize_static(
        str(tmp_path / "in.onnx"),
        str(tmp_path / "out.onnx"),
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=kinds,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": kinds,
        },
    )
    theirs = onnx.load(tmp_path / "out.onnx")
    scales = {item.name: numpy_helper.to_array(item) for item in theirs.graph.initializer}
    tops = {
        layer.activation: float(scales[f"{layer.activation}_scale"]) * 127.5
        for layer in layers(detector_model)
    }
    ours = with_qdq(detector_model, tops)
    for layer in layers(detector_model):
        difference = scales[f"{layer.weight}_quantized"].astype(int) - stored(ours, f"{layer.weight}:int8")
        assert np.abs(difference).max() <= 1
        assert (difference == 0).mean() > 0.9
    one, two = (onnx_runner(model, nets.DETECTOR)(image) for model in (theirs, ours))
    for name in two:
        assert np.abs(one[name] - two[name]).max() < 0.02 * np.abs(one[name]).max()


def test_kept_layers_are_left_alone(detector_model: onnx.ModelProto) -> None:
    int8 = with_qdq(detector_model, limits(detector_model), ["stem.0.0", "coarse"])
    nodes = {node.name: node for node in int8.graph.node}
    assert list(nodes["stem.0.0"].input)[:2] == ["image", "stem.0.0.weight"]
    assert nodes["coarse"].input[1] == "coarse.weight"
    assert nodes["fine"].input[1] == "fine.weight:dequantized"
    assert (
        with_qdq(detector_model, {}, [layer.name for layer in layers(detector_model)]).graph
        == detector_model.graph
    )


def test_an_activation_that_was_not_calibrated_is_an_error(detector_model: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match=re.escape("activation 'stem.0.2/relu' was not calibrated")):
        with_qdq(detector_model, {"image": 1.0})


def dense(operator: str, weight: tuple[int, int], **attributes: int) -> onnx.ModelProto:
    """Return flatten and one dense layer whose weight is read twice along different axes by nobody else."""
    rng = np.random.default_rng(4)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], name="flatten"),
        helper.make_node(operator, ["flat", "w"], ["y"], name="dense", **attributes),  # type: ignore[arg-type]
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FULL, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("y", FULL, ["n", 5])],
        [numpy_helper.from_array((rng.normal(size=weight) * [[0.1]]).astype(np.float32), "w")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(
    ("model", "axis"),
    [
        (dense("Gemm", (48, 5)), 1),
        (dense("Gemm", (5, 48), transB=1), 0),
        (dense("MatMul", (48, 5)), 1),
    ],
)
def test_the_channel_axis_of_dense_layers(model: onnx.ModelProto, axis: int) -> None:
    assert layers(model) == [Layer("dense", "flat", "w", axis)]
    int8 = with_qdq(model, {"flat": 4.0})
    onnx.checker.check_model(int8, full_check=True)
    (scale,) = (
        numpy_helper.to_array(item) for item in int8.graph.initializer if re.search("^w.*scale$", item.name)
    )
    assert scale.shape == (5,)
    x = np.random.default_rng(5).normal(size=(2, 3, 4, 4)).astype(np.float32)
    one, two = (onnx_runner(each, nets.RAW)(x)["y"] for each in (model, int8))
    np.testing.assert_allclose(two, one, atol=0.05)


def test_a_computed_weight_is_no_layer() -> None:
    model = dense("MatMul", (48, 5))
    model.graph.node[1].input[1] = "computed"
    model.graph.node.insert(1, helper.make_node("Relu", ["w"], ["computed"], name="relu"))
    assert layers(model) == []
