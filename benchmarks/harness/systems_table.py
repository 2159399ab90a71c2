"""The table of the shipped models that an Analyzer does not take by itself: how large they are, how good."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.markdown import SHORT, interval, number, table
from harness.network_size import NetworkSize, network_size
from harness.report import concerns, leaves
from vultus.onnxfile import spec_from_onnx
from vultus_export.metrics.identity import sha256_of

__all__ = ["systems_table"]

HEAD = ("model", "precision", "size", "what", "set", "figure", "95 % interval", "n")


def systems_table(
    models: Sequence[Path], defaults: Collection[str], results: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return one row a figure of every model whose file is not in `defaults` and that was measured.

    The figures are those of the README's table. Raises ValueError for a model that no result and no other precision
    of the same name was measured with.
    """
    rows: list[tuple[str, ...]] = []
    known = {spec_from_onnx(path).name for path in models if path.name in defaults}
    others = [(path, spec_from_onnx(path)) for path in models if path.name not in defaults]
    for path, spec in others:
        digest = sha256_of(path)
        for result in results.values():
            if digest in (model["sha256"] for model in result["models"]):
                known.add(spec.name)
                size = _size(network_size(path))
                rows += [(spec.name, spec.precision, size, *row) for row in _figures(result, spec.task)]
    missing = sorted({spec.name for _, spec in others} - known)
    if missing:
        raise ValueError(f"{', '.join(missing)} of the package was not measured: run benchmarks/accuracy.py")
    return table(HEAD, rows)


def _size(size: NetworkSize) -> str:
    return f"{size.parameters / 1e6:.2f} M, {size.macs / 1e6:.0f} M MAC, {size.bytes / 1e6:.2f} MB"


def _figures(result: Mapping[str, Any], task: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the rows of the README's table that a model of this task answers and that were measured."""
    entries = dict(leaves(dict(result)))
    for words, path, keys in SHORT:
        entry = entries.get(path, {})
        if not concerns(task, path) or "ci95" not in entry:
            continue
        values = " / ".join(number(entry[key]) for key in keys)
        sides = " / ".join(interval(entry["ci95"].get(key)) for key in keys)
        yield words, path.partition(".")[2].replace("all", "landmarks68"), values, sides, str(entry["n"])
