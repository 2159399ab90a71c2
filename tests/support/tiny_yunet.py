"""A tiny detector in YuNet's form: its maps are decoded on the host, wherever its network runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper, save_model

import tiny
from vultus.geometry import FACE_TEMPLATE
from vultus.spec import METADATA_KEY, AnchorLevel, DetectorSpec, spec_to_json

__all__ = ["save_yunet"]


def save_yunet(path: Path) -> Path:
    """Write a detector of white squares in YuNet's form."""
    sizes = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    levels = tuple(AnchorLevel(name, tiny.CELL) for name in sizes)
    spec = replace(tiny.DETECTOR, name="tiny-yunet", detector=DetectorSpec("yunet", levels))
    weights = np.zeros((16, 3, tiny.CELL, tiny.CELL), np.float32)
    weights[:2] = 20.0 / (3 * tiny.CELL**2)
    bias = np.zeros(16, np.float32)
    bias[:2] = -10
    bias[2:4] = 0.5  # the cell's centre
    bias[6:] = (FACE_TEMPLATE).ravel()
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["cells"], strides=[tiny.CELL, tiny.CELL]),
        helper.make_node("Transpose", ["cells"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "shape"], ["rows"]),
        helper.make_node("Split", ["rows", "parts"], ["cls_raw", "obj_raw", "bbox", "kps"], axis=2),
        helper.make_node("Sigmoid", ["cls_raw"], ["cls"]),
        helper.make_node("Sigmoid", ["obj_raw"], ["obj"]),
    ]
    constants: dict[str, npt.NDArray[Any]] = {
        "w": weights,
        "b": bias,
        "shape": np.array([0, -1, 16], np.int64),
        "parts": np.array(list(sizes.values()), np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "yunet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "cells", size])
            for name, size in sizes.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: spec_to_json(spec)})
    save_model(model, str(path))
    return path
