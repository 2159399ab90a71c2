"""Single operators of the torch engine beside ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ModelError
from vultus_export.torch_engine_ops import operator_for

X = np.random.default_rng(3).uniform(0.1, 4, (2, 6, 5, 7)).astype(np.float32)
WHOLE = 2**31


def under_onnx_runtime(node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> np.ndarray:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": X})[0])


@pytest.mark.parametrize(
    ("operator", "constants"),
    [
        ("Exp", []),
        ("Sqrt", []),
        ("Min", [np.full((6, 1, 1), 2, np.float32)]),
        ("Slice", [[1], [3], [1]]),
        ("Slice", [[1], [WHOLE], [3]]),
        ("Slice", [[0, -3], [6, -1], [1, -1], [2, 1]]),
        ("Slice", [[0, 2], [1, 4]]),
    ],
)
def test_an_operator_gives_what_onnx_runtime_gives(operator: str, constants: list[object]) -> None:
    given = {
        f"c{k}": value if isinstance(value, np.ndarray) else np.array(value, np.int64)
        for k, value in enumerate(constants)
    }
    node = helper.make_node(operator, ["x", *given], ["y"])
    found = operator_for(node)(torch.from_numpy(X), *(torch.from_numpy(value) for value in given.values()))
    np.testing.assert_allclose(found.numpy(), under_onnx_runtime(node, given), rtol=1e-6)


def test_a_slice_that_runs_backwards_is_refused() -> None:
    node = helper.make_node("Slice", ["x", "starts", "ends", "axes", "steps"], ["y"])
    with pytest.raises(ModelError, match="Slice that runs backwards is not known"):
        operator_for(node)(torch.from_numpy(X), *(torch.tensor([value]) for value in (4, 1, 1, -1)))
