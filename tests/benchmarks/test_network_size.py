"""Parameters and multiply-accumulates of graphs that can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tiny
from harness.network_size import network_size, same_work
from vultus.spec import METADATA_KEY, spec_to_json


def save(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], out: str) -> Path:
    """Write a graph on the face network's 32 x 32 input with weights of the given shapes."""
    constants = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    constants.append(numpy_helper.from_array(np.array([0, -1]), "flat"))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 32])
    result = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "counted", [image], [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: spec_to_json(tiny.FACE_NETWORK)})
    path.write_bytes(model.SerializeToString())
    return path


node = helper.make_node
CASES: dict[str, tuple[list[onnx.NodeProto], dict[str, tuple[int, ...]], int, int]] = {
    "convolution": (
        [node("Conv", ["image", "w", "b"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])],
        {"w": (8, 3, 3, 3), "b": (8,)},
        8 * 27 + 8,
        16 * 16 * 8 * 27,
    ),
    "depthwise": ([node("Conv", ["image", "w"], ["y"], group=3)], {"w": (3, 1, 3, 3)}, 27, 30 * 30 * 3 * 9),
    "transposed": (
        [node("ConvTranspose", ["image", "w"], ["y"], strides=[2, 2])],
        {"w": (3, 4, 2, 2)},
        48,
        32 * 32 * 3 * 16,
    ),
    "dense after a computed shape": (
        [
            node("GlobalAveragePool", ["image"], ["mean"]),
            node("Reshape", ["mean", "flat"], ["row"]),
            node("Gemm", ["row", "w", "b"], ["y"], transB=1),
        ],
        {"w": (10, 3), "b": (10,)},
        40,
        30,
    ),
    "matrix product": (
        [node("Reshape", ["image", "flat"], ["row"]), node("MatMul", ["row", "w"], ["y"])],
        {"w": (3072, 5)},
        15360,
        15360,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_counts_by_hand(name: str, tmp_path: Path) -> None:
    nodes, weights, parameters, macs = CASES[name]
    path = save(tmp_path / "counted.onnx", nodes, weights, "y")
    size = network_size(path)
    assert (size.parameters, size.macs, size.bytes) == (parameters, macs, path.stat().st_size)


def test_quantisation_adds_no_parameters_and_hides_no_products(tmp_path: Path) -> None:
    nodes = [
        node("DequantizeLinear", ["w", "scale", "zero"], ["weights"], axis=0),
        node("Conv", ["image", "weights"], ["y"]),
    ]
    path = save(tmp_path / "counted.onnx", nodes, {"scale": (4,)}, "y")
    model = onnx.load(path)
    for name, shape in (("w", (4, 3, 1, 1)), ("zero", (4,))):
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.int8), name))
    path.write_bytes(model.SerializeToString())
    size = network_size(path)
    assert (size.parameters, size.macs) == (12, 32 * 32 * 12)


def test_a_detector_is_counted_at_its_nominal_size(tiny_detector: Path) -> None:
    size = network_size(tiny_detector)
    assert (size.parameters, size.macs) == (15 * 768 + 15, 20 * 15 * 15 * 768)


def test_a_shape_that_does_not_follow_is_named(tmp_path: Path) -> None:
    nodes = [node("NonZero", ["image"], ["at"]), node("Cast", ["at"], ["real"], to=1)]
    nodes.append(node("MatMul", ["real", "w"], ["y"], name="last"))
    path = save(tmp_path / "counted.onnx", nodes, {"w": (5, 5)}, "y")
    with pytest.raises(ValueError, match="the shapes around MatMul 'last' do not follow from the input's"):
        network_size(path)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [(40_000_000, 40_000_160, True), (40_000_000, 40_100_000, False), (1000, 1002, False), (7, 7, True)],
)
def test_what_no_timing_shows_is_the_same_work(first: int, second: int, same: bool) -> None:
    assert same_work(first, second) == same_work(second, first) == same
