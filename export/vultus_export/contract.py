"""Does a graph honour its spec? Its input, the names of its outputs, and their shapes when it really runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from vultus.decode import centerface, yunet
from vultus.decode.anchors import VALUES, anchors_per_cell
from vultus.decode.heads import check_heads, output_width
from vultus.errors import ModelError
from vultus.spec import ModelSpec
from vultus_export.runners import onnx_runner
from vultus_export.specfile import output_names

__all__ = ["MAPS", "check_contract", "check_graph", "expected_shapes"]

Shape = tuple[int, ...]


def _anchor_maps(spec: ModelSpec, batch: int, height: int, width: int) -> dict[str, Shape]:
    levels = spec.detector.levels if spec.detector else ()
    return {
        level.output: (
            batch,
            anchors_per_cell(level) * VALUES,
            height // level.stride,
            width // level.stride,
        )
        for level in levels
    }


MAPS: dict[str, Callable[[ModelSpec, int, int, int], dict[str, Shape]]] = {
    "anchors": _anchor_maps,
    "centerface": centerface.map_shapes,
    "yunet": yunet.map_shapes,
}
"""Shapes of a detector's maps by decoder; one that is not here names its outputs in a way of its own."""


def check_graph(model: onnx.ModelProto) -> None:
    """Run ONNX's own full check; raises ModelError with its first line."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"the graph of {model.graph.name!r} fails ONNX's full check: {reason}") from error


def check_contract(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Raise ModelError unless input, output names and output shapes are those that the spec promises.

    Raises SpecError when a head does not fit the record.
    The shapes are those of a run on two blank pictures (one where the file fixes the batch) of nominal size, and
    where sides are free, also of odd multiples: pyramids break on those first.
    """
    check_heads(spec)
    _check_input(model, spec)
    _check_names(model, spec)
    batch, run = _batch(model, spec), onnx_runner(model, spec)
    for height, width in [(spec.input.height, spec.input.width), *_odd_sizes(spec)]:
        outputs = run(np.zeros((batch, 3, height, width), np.float32))
        expected = expected_shapes(spec, batch, height, width)
        _check_shapes(
            spec, (batch, 3, height, width), {name: outputs[name].shape for name in expected}, expected
        )


def _odd_sizes(spec: ModelSpec) -> list[tuple[int, int]]:
    """Return small odd sizes where sides are free; a proposal network has no smaller input than its nominal one."""
    step = spec.input.multiple
    if not step:
        return []
    if spec.detector and spec.detector.cascade:
        return [(spec.input.height + 3 * step, spec.input.width + 5 * step)]
    return [(3 * step, 5 * step)]


def expected_shapes(spec: ModelSpec, batch: int, height: int, width: int) -> dict[str, Shape]:
    """Return the shape of each output that the spec promises for an input (batch, 3, height, width)."""
    if spec.detector:
        maps = MAPS.get(spec.detector.decoder)
        return maps(spec, batch, height, width) if maps else {}
    return {head.output: (batch, output_width(head)) for head in spec.heads}


def _check_input(model: onnx.ModelProto, spec: ModelSpec) -> None:
    inputs = {item.name: item for item in model.graph.input}
    if list(inputs) != [spec.input.name]:
        raise ModelError(f"model {spec.name!r} takes {list(inputs)}, its spec promises [{spec.input.name!r}]")
    kind = inputs[spec.input.name].type.tensor_type
    sides = [dim.dim_value or None for dim in kind.shape.dim]
    if kind.elem_type != onnx.TensorProto.FLOAT or len(sides) != 4 or sides[1] not in (3, None):
        raise ModelError(f"input {spec.input.name!r} must be float32 (batch, 3, height, width), not {kind}")
    fixed = (spec.input.height, spec.input.width)
    if spec.input.multiple and any(sides[2:]):
        raise ModelError(
            f"the spec lets sides be any multiple of {spec.input.multiple}, "
            f"but the file fixes them at {sides[2:]}; set multiple = 0 or export with free sides"
        )
    if any(side not in (None, want) for side, want in zip(sides[2:], fixed, strict=True)):
        raise ModelError(f"the file takes height and width {sides[2:]}, its spec promises {list(fixed)}")


def _check_shapes(spec: ModelSpec, given: Shape, got: dict[str, Shape], expected: dict[str, Shape]) -> None:
    wrong = [
        f"{name!r} is {got[name]}, not {shape}" for name, shape in expected.items() if got[name] != shape
    ]
    if wrong:
        listed = "; ".join(wrong)
        raise ModelError(f"model {spec.name!r} breaks its spec on an input {given}: {listed}")


def _check_names(model: onnx.ModelProto, spec: ModelSpec) -> None:
    if spec.detector and spec.detector.decoder not in MAPS:
        return
    names, wanted = [output.name for output in model.graph.output], list(output_names(spec))
    if names != wanted:
        raise ModelError(f"model {spec.name!r} has the outputs {names}, its spec promises {wanted}")


def _batch(model: onnx.ModelProto, spec: ModelSpec) -> int:
    fixed = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    if fixed > 1 or (fixed and spec.task == "face"):
        raise ModelError(
            f"the file fixes the batch at {fixed}, expected a free one (or 1, for a detector); "
            "export it again"
        )
    return int(fixed or 2)
