"""A layer that strays is named, in every precision, whatever the layers behind it make of its error."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import nets
from vultus_export.gates.layers import layer_errors
from vultus_export.inputs import random_inputs
from vultus_export.quantize.half import half_precision
from vultus_export.quantize.qdq import layers, with_qdq

FACE_LAYERS = {
    "trunk.0.0": "trunk.0.0.weight",
    "trunk.1.0": "trunk.1.0.weight",
    "heads.age": "heads.age.weight",
    "heads.smile": "heads.smile.weight",
}


def perturbed(model: onnx.ModelProto, weight: str, scale: float = 1.5) -> onnx.ModelProto:
    """Return a copy with one weight scaled."""
    own = copy.deepcopy(model)
    stored = next(item for item in own.graph.initializer if item.name == weight)
    values = numpy_helper.to_array(stored)
    stored.CopyFrom(numpy_helper.from_array((values * scale).astype(values.dtype), weight))
    return own


def face_inputs() -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return list(random_inputs(nets.FACE.input, (2, 1)))


def test_a_copy_does_not_stray(face_model: onnx.ModelProto) -> None:
    found = layer_errors(face_model, copy.deepcopy(face_model), face_inputs())
    assert {one.layer for one in found} >= set(FACE_LAYERS)
    assert max(one.own for one in found) < 1e-6
    assert max(one.total for one in found) < 1e-6


@pytest.mark.parametrize("layer", FACE_LAYERS)
def test_a_perturbed_layer_is_the_worst(layer: str, face_model: onnx.ModelProto) -> None:
    found = layer_errors(face_model, perturbed(face_model, FACE_LAYERS[layer]), face_inputs())
    assert found[0].layer == layer
    assert found[0].own > 0.05
    assert found[0].total == pytest.approx(found[0].own, rel=1e-3)
    assert max(one.own for one in found[1:]) < 1e-6
    if layer == "trunk.0.0":
        assert max(one.total for one in found[1:]) > 0.01


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_layer_is_named_through_casts_and_quantisers(precision: str, face_model: onnx.ModelProto) -> None:
    def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
        if precision == "fp16":
            return half_precision(model)
        limits = {layer.activation: 4.0 for layer in layers(face_model)}
        return with_qdq(model, limits)

    fine = layer_errors(face_model, lowered(face_model), face_inputs())
    assert {one.layer for one in fine} >= set(FACE_LAYERS)
    assert 0 < max(one.own for one in fine) < (2e-3 if precision == "fp16" else 0.2)
    hurt = layer_errors(
        face_model, lowered(perturbed(face_model, FACE_LAYERS["trunk.1.0"], 3.0)), face_inputs()
    )
    assert hurt[0].layer == "trunk.1.0"
    others = {one.layer: one.own for one in fine}
    assert all(one.own == pytest.approx(others[one.layer], rel=1e-3) for one in hurt[1:])


def test_a_detector_with_a_pyramid(detector_model: onnx.ModelProto) -> None:
    inputs = list(random_inputs(nets.DETECTOR.input, (1, 1, 1)))
    names = [item.name for item in detector_model.graph.initializer if item.name.startswith("deep")]
    found = layer_errors(detector_model, perturbed(detector_model, names[0]), inputs)
    assert found[0].layer == names[0].removesuffix(".weight").removesuffix(".bias")


def test_graphs_without_common_names_share_no_layer(face_model: onnx.ModelProto) -> None:
    other = copy.deepcopy(face_model)
    for node in other.graph.node:
        node.name = f"other_{node.name}"
    assert layer_errors(face_model, other, face_inputs()) == []
