"""Sizes that a foreign file fixes although its graph would take others."""

from __future__ import annotations

import onnx
from onnx import shape_inference

from vultus.spec import ModelSpec

__all__ = ["free_sizes"]


def free_sizes(model: onnx.ModelProto, spec: ModelSpec) -> tuple[int, ...]:
    """Let the input take the sizes that the spec promises, in place, where the file declares others.

    Files traced on one picture declare the sizes of that picture, though convolutions take any. Only a spec whose
    `input.multiple` is not 0 asks for this: its sides become free, and so does a batch that is fixed above 1.
    Whether the graph really runs at other sizes is for `check_contract` to find out. Returns the sizes that were
    declared, empty when nothing had to be freed.
    """
    given = next((item for item in model.graph.input if item.name == spec.input.name), None)
    dims = given.type.tensor_type.shape.dim if given else []
    declared = tuple(dim.dim_value for dim in dims)
    if not spec.input.multiple or len(declared) != 4 or not any(declared[2:]):
        return ()
    for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
        if axis or declared[0] > 1:
            dims[axis].dim_param = name
    _infer_outputs(model)
    return declared


def _infer_outputs(model: onnx.ModelProto) -> None:
    """Forget the sizes that followed from the fixed ones and infer anew those that still follow."""
    del model.graph.value_info[:]
    for output in model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            dim.Clear()
    inferred = shape_inference.infer_shapes(model).graph.output
    for output, found in zip(model.graph.output, inferred, strict=True):
        output.CopyFrom(found)
        for axis, dim in enumerate(output.type.tensor_type.shape.dim):
            if not dim.dim_value:
                dim.dim_param = "batch" if axis == 0 else f"{output.name}_{axis}"
