"""Layer listings of every known form, and what counts as the precision of an engine."""

from __future__ import annotations

import json

import pytest

from vultus.errors import ModelError
from vultus_export.tensorrt.inspect import (
    Layer,
    count,
    layers_from_json,
    layers_from_log,
    precision_problem,
    shares,
)

LOG_OF_RTX_1_7 = """Layers:
Name: shapes, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0, Metadata: 
Name: quantise, LayerType: kgen, Inputs: [ { Name: image, Dimensions: [-1,3,64,64], Strides: [12288,4096,64,1], Datatype: Float, Format: (Linear) Row major linear format }], Constants: [ { Name: c, Dimensions: [1], Datatype: Half, Format: (Linear) Row major linear format }], Outputs: [ { Name: q, Dimensions: [-1,4,64,64], Datatype: Int8, Format: (NHWC) Channel major format }], TacticName: t, StreamId: 0, Metadata: [ONNX Layer: q0]
Name: conv0, LayerType: correlation, Inputs: [ { Name: q, Dimensions: [-1,4,64,64], Datatype: Int8, Format: (NHWC) Channel major format }], Constants: [ { Name: w, Dimensions: [16,4,3,3], Datatype: Int8, Format: (NHWC) Channel major format }], Outputs: [ { Name: y, Dimensions: [-1,16,32,32], Datatype: Float, Format: (NHWC) Channel major format }], TacticName: s, StreamId: 0, Metadata: [ONNX Layer: conv0]

I/O Tensors:
 Name: image, IOMode: Input, DataType: Float, Dimensions: [-1,3,64,64], Location: Device
"""  # noqa: E501
LOG_OF_RTX_1_4 = """Layers:
Name: shapes, LayerType: shape_call, Inputs: [], Outputs: [], TacticName: , StreamId: 0, Metadata: 
Name: cast, LayerType: kgen, Inputs: [ { Name: image, Dimensions: [-1,3,64,64], Format/Datatype: Float }], Outputs: [ { Name: r, Dimensions: [-1,4,64,64], Format/Datatype: Half }], TacticName: t, StreamId: 0, Metadata: x
Name: conv0, LayerType: correlation, Inputs: [ { Name: r, Dimensions: [-1,4,64,64], Format/Datatype: Half }], Outputs: [ { Name: s, Dimensions: [-1,16,32,32], Format/Datatype: Half }], TacticName: t, StreamId: 0, Metadata: x
"""  # noqa: E501


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            LOG_OF_RTX_1_7,
            [Layer("quantise", "kgen", "fp32", False), Layer("conv0", "correlation", "int8", True)],
        ),
        (LOG_OF_RTX_1_4, [Layer("cast", "kgen", "fp32", False), Layer("conv0", "correlation", "fp16", True)]),
        ("", []),
    ],
)
def test_listings_in_the_log_of_a_build_are_read(log: str, expected: list[Layer]) -> None:
    assert layers_from_log(log) == expected


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("Int8", "int8"),
        ("Thirty-two wide channel vectorized row major Int8 format.", "int8"),
        ("Row major linear FP16 format", "fp16"),
        ("Half", "fp16"),
        ("BFloat16", "bf16"),
        ("Row major linear FP32 format", "fp32"),
        ("Float", "fp32"),
        ("FP8", "fp8"),
        ("UInt8", ""),
        ("Int64", ""),
    ],
)
@pytest.mark.parametrize("key", ["Datatype", "Format/Datatype"])
def test_type_texts_of_the_inspector_are_known(key: str, text: str, precision: str) -> None:
    layer = {"Name": "a", "LayerType": "CaskConvolution", "Inputs": [{"Name": "x", key: text}], "Outputs": []}
    expected = [Layer("a", "CaskConvolution", precision, True)] if precision else []
    assert layers_from_json(json.dumps({"Layers": [layer]})) == expected


def test_a_layer_is_of_the_lowest_type_that_it_reads() -> None:
    layer = {
        "Name": "add",
        "LayerType": "PointWise",
        "Inputs": [{"Datatype": "Float"}, {"Datatype": "Int8"}, {"Datatype": "Half"}],
        "Outputs": [{"Datatype": "Int4"}],
    }
    source = {"Name": "fill", "LayerType": "Constant", "Inputs": [], "Outputs": [{"Datatype": "Half"}]}
    found = layers_from_json(json.dumps({"Layers": [layer, source]}))
    assert [(x.name, x.precision, x.multiplies) for x in found] == [
        ("add", "int8", False),
        ("fill", "fp16", False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "gave no list of layers"),
        ("{}", "gave no list of layers"),
        ('{"Layers": ["conv0"]}', "gave layer names alone"),
    ],
)
def test_an_inspector_that_tells_nothing_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layers_from_json(text)


CONV8, CONV16, CONV32 = (Layer(name, "conv", name, True) for name in ("int8", "fp16", "fp32"))
CAST8 = Layer("cast", "Reformat", "int8", False)


@pytest.mark.parametrize(
    ("layers", "precision", "problem"),
    [
        ([CONV8, CONV32], "int8", ""),
        ([CONV8, CONV16], "int8-fp16", ""),
        ([CONV16, CONV32], "fp16", ""),
        ([CONV32], "fp32", ""),
        ([CAST8], "int8", ""),
        (
            [CONV32, CONV16, CAST8],
            "int8",
            "the model says 'int8', but none of the engine's 2 layers is int8: they read fp16, fp32",
        ),
        (
            [CONV16],
            "int8-fp16",
            "the model says 'int8-fp16', but none of the engine's 1 layers is int8: they read fp16",
        ),
        (
            [CONV32],
            "fp16",
            "the model says 'fp16', but none of the engine's 1 layers is fp16: they read fp32",
        ),
        (
            [],
            "int8",
            "the model says 'int8', but none of the engine's 0 layers is int8: they read no known type",
        ),
    ],
)
def test_an_engine_must_have_layers_of_the_precision_it_claims(
    layers: list[Layer], precision: str, problem: str
) -> None:
    assert precision_problem(layers, precision) == problem


def test_shares_are_of_layers_or_of_time() -> None:
    layers = [CONV8, CONV16, CONV32, Layer("x", "conv", "int8", True)]
    assert count(layers) == {"fp16": 1, "fp32": 1, "int8": 2}
    assert shares(layers) == {"fp16": 0.25, "fp32": 0.25, "int8": 0.5}
    assert shares(layers, {"int8": 1.0, "x": 2.0, "fp32": 1.0}) == {"fp16": 0.0, "fp32": 0.25, "int8": 0.75}
    assert shares([]) == {}
