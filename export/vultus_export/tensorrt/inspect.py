"""Proof of an engine's precision: which type the layers of the finished engine really read.

The engine inspector tells it where a GPU can load the engine. TensorRT-RTX lists the same layers in its build log,
which needs no GPU. Both are read after fusion and kernel choice, so a precision that TensorRT dropped shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vultus.errors import ModelError

__all__ = ["Layer", "count", "layers_from_json", "layers_from_log", "precision_problem", "shares"]

# Lowest precision first, and BF16 and FP8 before the words of FP32 that their own names contain.
TYPES = (
    ("int4", r"\bint4"),
    ("fp4", r"\bfp4"),
    ("int8", r"\bint8"),
    ("fp8", r"fp8|float8"),
    ("bf16", r"bf16|bfloat16"),
    ("fp16", r"half|fp16|float16"),
    ("fp32", r"float|fp32"),
)
MULTIPLIES = re.compile(r"conv|correlation|gemm|matrix|matmul|fullyconnected", re.IGNORECASE)


@dataclass(frozen=True)
class Layer:
    """One layer of a finished engine.

    precision: the lowest type it reads, such as "int8". multiplies: whether it multiplies by weights, as
    convolutions do; those are the layers that a lower precision makes faster.
    """

    name: str
    kind: str
    precision: str
    multiplies: bool


def layers_from_json(text: str) -> list[Layer]:
    """Return the layers of the engine inspector's JSON; those that touch no numbers are left out.

    Raises ModelError when the text lists no layers with their types.
    """
    try:
        entries = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the engine inspector gave no list of layers: {text[:80]!r}") from error
    if any(not isinstance(entry, dict) for entry in entries):
        raise ModelError("the engine inspector gave layer names alone; build it with vultus-export engine")
    return _with_types(
        (entry["Name"], entry.get("LayerType", ""), _types(entry, "Inputs"), _types(entry, "Outputs"))
        for entry in entries
    )


def layers_from_log(text: str) -> list[Layer]:
    """Return the layers of the listing that TensorRT-RTX writes to its log at the end of a build."""
    rows = re.findall(r"^Name: (.*?), LayerType: (.*?), Inputs: \[(.*?)\], TacticName", text, re.MULTILINE)
    found = []
    for name, kind, tensors in rows:
        inputs = re.split(r"\], (?:Constants|Outputs): \[", tensors)[0]
        outputs = tensors.rpartition("], Outputs: [")[2]
        datatypes = [re.findall(r"Datatype: ([^,}]*)", part) for part in (inputs, outputs)]
        found.append((name, kind, datatypes[0], datatypes[1]))
    return _with_types(found)


def count(layers: Sequence[Layer]) -> dict[str, int]:
    """Return precision -> number of layers."""
    return {
        name: sum(layer.precision == name for layer in layers)
        for name in sorted({x.precision for x in layers})
    }


def shares(layers: Sequence[Layer], weights: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return precision -> share (0-1) of the layers, or of their `weights` (layer name -> milliseconds)."""
    sums: dict[str, float] = {}
    for layer in layers:
        weight = 1.0 if weights is None else weights.get(layer.name, 0.0)
        sums[layer.precision] = sums.get(layer.precision, 0.0) + weight
    total = sum(sums.values())
    return {name: value / total for name, value in sorted(sums.items())} if total else {}


def precision_problem(layers: Sequence[Layer], precision: str) -> str:
    """Return what the engine lacks of the precision that its model claims, or an empty string.

    Layers that multiply by weights decide, where TensorRT names any. Of "int8-fp16" the INT8 is asked for here:
    fused kernels between INT8 layers may hold FP16 in their registers alone.
    """
    claimed = precision.partition("-")[0]
    deciding = [layer for layer in layers if layer.multiplies] or list(layers)
    found = sorted({layer.precision for layer in deciding})
    if claimed == "fp32" or claimed in found:
        return ""
    kinds = ", ".join(found) or "no known type"
    lacks = f"none of the engine's {len(deciding)} layers is {claimed}"
    return f"the model says {precision!r}, but {lacks}: they read {kinds}"


def _with_types(rows: Iterable[tuple[str, str, Sequence[str], Sequence[str]]]) -> list[Layer]:
    """Return the layers of (name, kind, types read, types written) that touch numbers."""
    layers = []
    for name, kind, read, written in rows:
        precision = _lowest(read) if read else _lowest(written)
        if precision:
            layers.append(Layer(name, kind, precision, bool(MULTIPLIES.search(kind))))
    return layers


def _types(entry: Mapping[str, Any], side: str) -> list[str]:
    """Return the type texts of a layer's tensors; the key was renamed between versions."""
    tensors = [tensor for tensor in entry.get(side, ()) if isinstance(tensor, dict)]
    return [str(tensor.get("Datatype") or tensor.get("Format/Datatype", "")) for tensor in tensors]


def _lowest(texts: Sequence[str]) -> str:
    named = {
        next((name for name, words in TYPES if re.search(words, text, re.IGNORECASE)), "") for text in texts
    }
    return next((name for name, _ in TYPES if name in named), "")
