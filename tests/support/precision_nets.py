"""Small convolutional face networks whose ONNX carries a precision: FP32, FP16 types, explicit INT8 Q/DQ or both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from vultus.spec import METADATA_KEY, AnchorLevel, DetectorSpec, Head, InputSpec, ModelSpec, spec_to_json
from vultus.types import EXPRESSIONS, GENDERS

PRECISIONS = ("fp32", "fp16", "int8", "int8-fp16")
SIDE = 32
HEADS = {"gender": 2, "expression": 7, "smile": 1}

FACE = ModelSpec(
    name="conv-face",
    version="1.0.0",
    task="face",
    input=InputSpec("image", SIDE, SIDE),
    heads=(
        Head("gender", "softmax", "gender", GENDERS),
        Head("expression", "softmax", "expression", EXPRESSIONS),
        Head("smile", "percent", "smile"),
    ),
    licence="Apache-2.0",
)
DETECTOR = ModelSpec(
    name="conv-detector",
    version="1.0.0",
    task="detector",
    input=InputSpec("image", 96, 64, multiple=16),
    detector=DetectorSpec("anchors", (AnchorLevel("cells", 4, (16.0,), (1,)),)),
    licence="Apache-2.0",
)


class _Graph:
    """Nodes and constants of a network under way, in one precision."""

    def __init__(self, precision: str, seed: int) -> None:
        self.quantised, self.half = "int8" in precision, "fp16" in precision
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[np.generic]] = {}

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[np.generic], typed: bool = True) -> str:
        self.constants[name] = value.astype(np.float16 if self.half else np.float32) if typed else value
        return name

    def cast(self, source: str, output: str, kind: int) -> str:
        return self.node(
            "Cast" if self.half else "Identity", [source], output, **({"to": kind} if self.half else {})
        )

    def conv(self, source: str, name: str, inside: int, outside: int) -> str:
        weights = self.rng.normal(0, 0.3, (outside, inside, 3, 3))
        inputs = [source, self.constant(f"{name}_w", weights)]
        if self.quantised:
            del self.constants[f"{name}_w"]
            inputs = [self._activation(source, name), self._weights(weights, name)]
        inputs.append(self.constant(f"{name}_b", np.zeros(outside)))
        self.node("Conv", inputs, f"{name}_c", pads=[1] * 4, strides=[2, 2], kernel_shape=[3, 3])
        return self.node("Relu", [f"{name}_c"], name)

    def _activation(self, source: str, name: str) -> str:
        scale = self.constant(f"{name}_xs", np.array(0.02))
        zero = self.constant(f"{name}_xz", np.array(0, np.int8), typed=False)
        self.node("QuantizeLinear", [source, scale, zero], f"{name}_xq")
        return self.node("DequantizeLinear", [f"{name}_xq", scale, zero], f"{name}_x")

    def _weights(self, weights: npt.NDArray[np.float64], name: str) -> str:
        scale = np.abs(weights).max((1, 2, 3)) / 127
        rounded = np.round(weights / scale[:, None, None, None]).astype(np.int8)
        inputs = [
            self.constant(f"{name}_wq", rounded, typed=False),
            self.constant(f"{name}_ws", scale),
            self.constant(f"{name}_wz", np.zeros(len(scale), np.int8), typed=False),
        ]
        return self.node("DequantizeLinear", inputs, f"{name}_wd", axis=0)


def save_face(
    path: Path, precision: str = "fp32", batch: int | str = "batch", claimed: str | None = None
) -> Path:
    """Write the face network in a precision.

    batch: a name for any number of faces, or the one number it takes. claimed: what the spec says the precision
    is, when it shall not be true.
    """
    graph = _Graph(precision, seed=5)
    last = graph.conv(_trunk(graph), "deep", 16, 32)
    pooled = graph.node("Flatten", [graph.node("GlobalAveragePool", [last], "pooled")], "mean")
    for name, width in HEADS.items():
        inputs = [
            pooled,
            graph.constant(f"{name}_w", graph.rng.normal(0, 0.3, (32, width))),
            graph.constant(f"{name}_b", np.zeros(width)),
        ]
        graph.cast(graph.node("Gemm", inputs, f"{name}_g"), name, TensorProto.FLOAT)
    outputs: dict[str, list[int | str]] = {name: [batch, width] for name, width in HEADS.items()}
    return _save(path, graph, [batch, 3, SIDE, SIDE], outputs, replace(FACE, precision=claimed or precision))


def save_detector(path: Path, precision: str = "fp32") -> Path:
    """Write a detector that takes any batch and sides in multiples of 16."""
    graph = _Graph(precision, 6)
    _trunk(graph)
    graph.constant("out_w", graph.rng.normal(0, 0.3, (15, 16, 1, 1)))
    graph.cast(graph.node("Conv", ["trunk", "out_w"], "raw", kernel_shape=[1, 1]), "cells", TensorProto.FLOAT)
    shape: list[int | str] = ["batch", 15, "rows", "columns"]
    sides: list[int | str] = ["batch", 3, "height", "width"]
    return _save(path, graph, sides, {"cells": shape}, replace(DETECTOR, precision=precision))


def save_with_foreign_node(path: Path) -> Path:
    """Write a face network with one node of an operator that nobody knows."""
    graph = _Graph("fp32", 7)
    graph.node("Frobnicate", ["image"], "smile", domain="example.foreign")
    graph.nodes[-1].name = "strange_node"
    spec = replace(FACE, heads=FACE.heads[2:])
    return _save(path, graph, ["batch", 3, SIDE, SIDE], {"smile": ["batch", 1]}, spec, checked=False)


def _trunk(graph: _Graph) -> str:
    start = graph.cast("image", "start", TensorProto.FLOAT16)
    return graph.conv(graph.conv(start, "stem", 3, 8), "trunk", 8, 16)


def _save(
    path: Path,
    graph: _Graph,
    shape: list[int | str],
    outputs: dict[str, list[int | str]],
    spec: ModelSpec,
    checked: bool = True,
) -> Path:
    made = helper.make_graph(
        graph.nodes,
        spec.name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("example.foreign", 1)]
    model = helper.make_model(made, opset_imports=opsets[: 1 if checked else 2], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: spec_to_json(spec)})
    if checked:
        onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path
