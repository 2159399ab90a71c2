"""Parts of fused graphs run alone, and the tiny models fused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

import vultus
from vultus_export.contract import check_graph
from vultus_export.fuse.graph import Graph, Value

Array = npt.NDArray[Any]
Part = Callable[[Graph, dict[str, Value]], Mapping[str, Value]]
Run = Callable[..., dict[str, Array]]
Runner = Callable[[Part, Mapping[str, tuple[Any, list[int | str]]], Mapping[str, list[int | str]]], Run]


@pytest.fixture(scope="session")
def runner() -> Runner:
    """Return a function that makes a checked ONNX model of one part and returns a call of it."""
    assert vultus.__version__

    def make(
        part: Part,
        inputs: Mapping[str, tuple[Any, list[int | str]]],
        outputs: Mapping[str, list[int | str]],
    ) -> Run:
        g = Graph()
        given = {name: Value(g, name, np.dtype(kind)) for name, (kind, _) in inputs.items()}
        made = part(g, given)
        for name in outputs:
            g.nodes.append(helper.make_node("Identity", [made[name].name], [name], name=name))
        declared = [_info(name, np.dtype(kind), shape) for name, (kind, shape) in inputs.items()]
        wanted = [_info(name, made[name].dtype, shape) for name, shape in outputs.items()]
        graph = g.finished("part", declared, wanted)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        check_graph(model)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

        def run(**arrays: Array) -> dict[str, Array]:
            return dict(zip(outputs, session.run(list(outputs), arrays), strict=True))

        return run

    return make


def _info(name: str, kind: Any, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
