"""What lowering a model's precision costs and brings: the gate's report and the latency of every precision."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.latency import compared, interleaved
from vultus.engines import open_engine
from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.preprocess import letterbox
from vultus.spec import ModelSpec
from vultus_export.gates.compare import Options, Tick, compare
from vultus_export.gates.judge import FEW, UNDEFINED
from vultus_export.gates.limits import LIMITS
from vultus_export.gates.report import Report
from vultus_export.metrics.identity import model_entry, sha256_of

__all__ = ["lowered_files", "measured_model", "timed_again"]

FACES = 8
"""Faces in the batch on which a face network's latency is measured."""


def lowered_files(master: Path, precisions: Sequence[str], folder: Path) -> list[Path]:
    """Return the file of a model at each precision; raises ModelError with the command that makes a missing one."""
    wanted = spec_from_onnx(master)
    others = [(path, spec_from_onnx(path)) for path in sorted(folder.glob("*.onnx"))]
    return [_lowered(master, wanted, precision, others) for precision in precisions]


def _lowered(
    master: Path, wanted: ModelSpec, precision: str, others: Sequence[tuple[Path, ModelSpec]]
) -> Path:
    name = f"{wanted.name}-{precision}"
    for path, spec in others:
        if spec.precision == precision and spec.task == wanted.task and spec.name in (wanted.name, name):
            return path
    raise ModelError(
        f"there is no {wanted.name} at {precision}; make it with: vultus-export quantize {master} "
        f"--precision {precision} --calibration PICTURES --out {name}.onnx"
    )


def measured_model(
    master: Path, lowered: Sequence[Path], data: Path, options: Options, rounds: int, tick: Tick
) -> dict[str, Any]:
    """Return the entry of one model: of every precision the file, figures, groups, verdict and latency."""
    reports = compare(master, lowered, data, options, tick)
    times = _latency([master, *lowered], options, rounds)
    entries = {"fp32": {**_file(master), "metrics": _own_metrics(reports[0]), "latency": times[0]}}
    for path, report, latency in zip(lowered, reports, times[1:], strict=True):
        entries[report.model["precision"]] = {**_file(path), **_judgement(report), "latency": latency}
    task = spec_from_onnx(master).task
    return {"task": task, "sources": reports[0].sources, "ran_on": reports[0].ran_on, "precisions": entries}


def timed_again(
    entry: dict[str, Any], files: Sequence[Path], options: Options, rounds: int
) -> dict[str, Any]:
    """Return the entry of a model with new latencies, and all else as it is.

    files: the master, then the others. Raises ModelError unless the entry is of these very files.
    """
    judged = {one["sha256"]: name for name, one in entry["precisions"].items()}
    digests = [sha256_of(path) for path in files]
    unknown = [path.name for path, digest in zip(files, digests, strict=True) if digest not in judged]
    if unknown or len(files) != len(judged):
        raise ModelError(
            f"the committed figures are not of {', '.join(unknown) or 'all these files'}; leave --times out"
        )
    times = zip(digests, _latency(files, options, rounds), strict=True)
    fresh = {judged[digest]: latency for digest, latency in times}
    precisions = {name: {**one, "latency": fresh[name]} for name, one in entry["precisions"].items()}
    return {**entry, "precisions": precisions}


def _file(path: Path) -> dict[str, Any]:
    spec = spec_from_onnx(path)
    facts = {"bytes": path.stat().st_size, "kept_layers": list(spec.kept_layers)}
    return {**model_entry(path), **facts, "calibration": spec.calibration}


def _own_metrics(report: Report) -> dict[str, float | None]:
    """Return the master's figures against labels; against itself it has none."""
    named = report.to_json()["metrics"]
    return {entry["name"]: entry["master"] for entry in named if LIMITS[entry["kind"]].relative}


def _judgement(report: Report) -> dict[str, Any]:
    whole = report.to_json()
    counted = [entry for entry in whole["groups"] if entry["status"] not in (FEW, UNDEFINED)]
    return {
        "passed": report.passed,
        "verdict": report.line,
        "worst": whole["worst"],
        "metrics": {entry.pop("name"): entry for entry in whole["metrics"]},
        "groups": [entry for entry in counted if "," not in entry["group"] or _beyond(entry)],
        "groups_judged": len(counted),
        "layers": whole["layers"][:5],
        "notes": whole["notes"],
    }


def _beyond(entry: dict[str, Any]) -> bool:
    return bool(entry["change"] is None or entry["change"] > entry["limit"])


def _latency(models: Sequence[Path], options: Options, rounds: int) -> list[dict[str, Any]]:
    """Return the latency of each model on one input of the nominal size, all in one run."""
    spec = spec_from_onnx(models[0])
    noise = (
        np.random.default_rng(0).integers(0, 256, (spec.input.height, spec.input.width, 3)).astype(np.uint8)
    )
    batch = np.repeat(letterbox(noise, spec.input)[0], 1 if spec.task == "detector" else FACES, axis=0)
    with ExitStack() as stack:
        opened = (open_engine(path, options.device, options.threads) for path in models)
        engines = map(stack.enter_context, opened)
        calls = {str(path): partial(engine, batch) for path, engine in zip(models, engines, strict=True)}
        times = interleaved(calls, rounds)
    first = times[str(models[0])]
    shape = {"input": list(batch.shape), "rounds": rounds}
    return [{**compared(times[str(path)], first, spec.name), **shape} for path in models]
