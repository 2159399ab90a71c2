"""A foreign ONNX file gets a spec: other outputs go, answers stay, what does not fit is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vultus.errors import ModelError, SpecError
from vultus.spec import Head, InputSpec, ModelSpec
from vultus_export.adopt import onnx_with_spec
from vultus_export.inputs import random_inputs
from vultus_export.parity import check_parity
from vultus_export.runners import onnx_runner
from vultus_export.tidy import spec_of

SPEC = ModelSpec(
    name="foreign",
    version="2020",
    task="face",
    input=InputSpec("data", 8, 8, channels="RGB"),
    heads=(Head("prob", "softmax", "gender", ("female", "male")),),
    licence="MIT",
)


def foreign(batch: int | str = "n", element: int = TensorProto.FLOAT, opset: int = 11) -> onnx.ModelProto:
    """Return an old-style model: unnamed nodes, weights among the inputs, a second output, traces of its maker."""
    rng = np.random.default_rng(2)
    constants = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2), "v": rng.normal(size=(5, 3))}
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["prob"], transB=1),
        helper.make_node(
            "Gemm", ["flat", "v"], ["embedding"], transB=1, doc_string="File /home/someone/net.py"
        ),
    ]
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("data", element, [batch, 3, 8, 8])]
    inputs += [helper.make_tensor_value_info(item.name, TensorProto.FLOAT, item.dims) for item in weights]
    outputs = [
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 5]),
        helper.make_tensor_value_info("prob", TensorProto.FLOAT, [batch, 2]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("com.other", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=6)
    helper.set_model_props(model, {"made at": "/home/someone"})
    return model


def test_adopting_keeps_the_answers_and_drops_the_rest() -> None:
    model = foreign()
    before = model.SerializeToString()
    own = onnx_with_spec(model, SPEC)
    assert model.SerializeToString() == before
    assert spec_of(own) == SPEC
    assert [item.name for item in own.graph.input] == ["data"]
    assert [item.name for item in own.graph.output] == ["prob"]
    assert {item.name for item in own.graph.initializer} == {"w", "b"}
    assert [(item.domain, item.version) for item in own.opset_import] == [("", 11)]
    assert b"someone" not in own.SerializeToString()
    assert all(node.name for node in own.graph.node)
    found = check_parity(onnx_runner(model, SPEC), onnx_runner(own, SPEC), SPEC, random_inputs(SPEC.input))
    assert len(found) == 1
    assert found[0].passed


def test_a_head_that_does_not_fit_the_record_is_refused() -> None:
    with pytest.raises(SpecError, match="head 'prob' has the labels none; expected each at most once out of"):
        onnx_with_spec(foreign(), replace(SPEC, heads=(Head("prob", "softmax", "gender"),)))


REFUSED: list[tuple[str, Callable[[], onnx.ModelProto], ModelSpec, str]] = [
    (
        "output",
        foreign,
        replace(SPEC, heads=(Head("age", "percent", "smile"),)),
        "['embedding', 'prob'], the spec of",
    ),
    (
        "input",
        foreign,
        replace(SPEC, input=InputSpec("image", 8, 8)),
        "takes ['data'], its spec promises ['image']",
    ),
    ("size", foreign, replace(SPEC, input=InputSpec("data", 16, 8)), "takes height and width [8, 8]"),
    ("batch", lambda: foreign(1), SPEC, "the file fixes the batch at 1, expected a free one"),
    (
        "width",
        foreign,
        replace(SPEC, heads=(Head("prob", "percent", "smile"),)),
        "'prob' is (2, 2), not (2, 1)",
    ),
    ("type", lambda: foreign(element=TensorProto.DOUBLE), SPEC, "fails ONNX's full check"),
]


@pytest.mark.parametrize(("case", "make", "spec", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_does_not_fit_is_refused(
    case: str, make: Callable[[], onnx.ModelProto], spec: ModelSpec, message: str
) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        onnx_with_spec(make(), spec)
