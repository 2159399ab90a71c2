"""A foreign ONNX model made one of ours: its graph put in order, its spec inside."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from vultus.errors import ModelError
from vultus.spec import ModelSpec
from vultus_export import tidy
from vultus_export.contract import MAPS, check_graph
from vultus_export.exporter import finish
from vultus_export.fold import fold_batch_norms
from vultus_export.free import free_sizes
from vultus_export.specfile import keep_attributes, output_names

__all__ = ["onnx_with_spec"]


def onnx_with_spec(
    model: onnx.ModelProto, spec: ModelSpec, attributes: Sequence[str] | None = None
) -> onnx.ModelProto:
    """Return a foreign graph with normalisations folded, other outputs dropped and the spec in its metadata.

    Where the spec lets sides be free and the file fixes them, they are freed. The given model is not changed.
    Raises ModelError when it does not fit the spec or fails the full check.
    """
    check_graph(model)
    kept = spec if attributes is None else keep_attributes(spec, tuple(attributes))
    own = onnx.ModelProto.FromString(model.SerializeToString())
    names = _wanted(own, kept)
    declared = free_sizes(own, kept)
    fold_batch_norms(own)
    tidy.keep_outputs(own, names)
    tidy.name_unnamed(own)
    try:
        return finish(own, kept)
    except ModelError as error:
        if not declared:
            raise
        raise ModelError(
            f"{error}; the file declares an input {declared} and its graph is bound to that: "
            "set multiple = 0 and these sides in the spec"
        ) from error


def _wanted(model: onnx.ModelProto, spec: ModelSpec) -> Sequence[str]:
    """Return the outputs to keep; a decoder that names its maps in its own way gets all of them."""
    has = [output.name for output in model.graph.output]
    if spec.detector and spec.detector.decoder not in MAPS:
        return has
    missing = [name for name in output_names(spec) if name not in has]
    if missing:
        raise ModelError(f"the file has the outputs {has}, the spec of {spec.name!r} names {missing} too")
    return output_names(spec)
