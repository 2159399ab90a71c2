"""Tiny models whose answers are known: a detector of white squares and a face network of seeded heads.

The detector calls every 16 x 16 cell that is white a face, with the cell as its box and the alignment template
as its points. The face network reads the crop's mean colour through seeded matrices.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from vultus.geometry import FACE_TEMPLATE
from vultus.spec import METADATA_KEY, AnchorLevel, DetectorSpec, Head, InputSpec, ModelSpec, spec_to_json
from vultus.types import ETHNICITIES, EXPRESSIONS, FACIAL_HAIR, GENDERS

CELL = 16

Shape = list[int | str]

DETECTOR = ModelSpec(
    name="tiny-detector",
    version="1.0.0",
    task="detector",
    input=InputSpec("image", 320, 240, multiple=32, enlarge=1.0),
    detector=DetectorSpec("anchors", (AnchorLevel("cells", CELL, (float(CELL),), (1,)),)),
    licence="Apache-2.0",
    description="Finds white squares.",
)

FACE_NETWORK = ModelSpec(
    name="tiny-face",
    version="1.0.0",
    task="face",
    input=InputSpec("image", 32, 32),
    heads=(
        Head("landmarks", "landmarks", "landmarks", count=68),
        Head("pose", "euler", "pose"),
        Head("age", "group_age", "age", count=101, group=3),
        Head("gender", "softmax", "gender", GENDERS),
        Head("ethnicity", "softmax", "ethnicity", ETHNICITIES),
        Head("expression", "softmax", "expression", EXPRESSIONS),
        Head("smile", "percent", "smile"),
        Head("attractiveness", "percent", "attractiveness"),
        Head("eyeglasses", "sigmoid", "eyeglasses", ("eyeglasses",)),
        Head("facial_hair", "sigmoid", "facial_hair", FACIAL_HAIR),
    ),
    licence="Apache-2.0",
    description="Seeded numbers from the crop's mean colour.",
)

WIDTHS = {
    "landmarks": 136,
    "pose": 3,
    "age": 103,
    "gender": 2,
    "ethnicity": 5,
    "expression": 7,
    "facial_hair": 5,
}


def squares(width: int, height: int, *corners: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return a black BGR picture with white cells at the given top left corners."""
    picture = np.zeros((height, width, 3), np.uint8)
    for x, y in corners:
        picture[y : y + CELL, x : x + CELL] = 255
    return picture


def save_detector(path: Path, spec: ModelSpec = DETECTOR) -> Path:
    """Write the detector of white squares; `spec` may differ from DETECTOR to make a faulty file."""
    assert DETECTOR.detector is not None
    weights = np.zeros((15, 3, CELL, CELL), np.float32)
    weights[0] = 20.0 / (3 * CELL * CELL)
    bias = np.zeros(15, np.float32)
    bias[0] = -10.0
    bias[5:] = ((FACE_TEMPLATE - 0.5) / DETECTOR.detector.variances[0]).ravel()
    node = helper.make_node("Conv", ["image", "w", "b"], ["cells"], strides=[CELL, CELL])
    shape: Shape = ["batch", 15, "rows", "columns"]
    return _save(
        path, [node], {"w": weights, "b": bias}, ["batch", 3, "height", "width"], {"cells": shape}, spec
    )


def save_face_network(path: Path, spec: ModelSpec = FACE_NETWORK, seed: int = 7) -> Path:
    """Write the seeded face network with the heads of `spec`."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
    ]
    constants: dict[str, npt.NDArray[np.float32]] = {}
    outputs: dict[str, Shape] = {}
    for head in FACE_NETWORK.heads:
        width = WIDTHS.get(head.output, 1)
        constants[f"{head.output}_w"] = rng.normal(0, 0.3, (3, width)).astype(np.float32)
        constants[f"{head.output}_b"] = rng.normal(0, 0.3, width).astype(np.float32)
        if head in spec.heads:
            inputs = ["mean", f"{head.output}_w", f"{head.output}_b"]
            nodes.append(helper.make_node("Gemm", inputs, [head.output]))
            outputs[head.output] = ["batch", width]
    return _save(path, nodes, constants, ["batch", 3, spec.input.height, spec.input.width], outputs, spec)


def with_heads(*fields: str) -> ModelSpec:
    """Return the face network's spec with the heads of these fields alone."""
    return replace(FACE_NETWORK, heads=tuple(head for head in FACE_NETWORK.heads if head.field in fields))


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, npt.NDArray[np.float32]],
    shape: Shape,
    outputs: dict[str, Shape],
    spec: ModelSpec,
) -> Path:
    graph = helper.make_graph(
        nodes,
        spec.name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: spec_to_json(spec)})
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path
