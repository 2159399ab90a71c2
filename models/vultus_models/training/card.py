"""The card of a run: where its weights come from and what they reach on the rows that chose them."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
import torch
from torch.utils.flop_counter import FlopCounterMode

from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec
from vultus_models.data.sets import open_set, set_names
from vultus_models.training.checkpoint import read_checkpoint

__all__ = ["macs_of", "parameters_of", "run_card"]

Record = dict[str, Any]

WARNING = (
    "This is the card of one training run. Its figures are of validation rows, which chose the weights; the card of a "
    "shipped model has figures of test rows instead."
)


def run_card(config: Path, system: Any, recipe: Record, data: Path, run: Path, model: Path) -> str:
    """Return the card of a run that is finished, in Markdown.

    system: the module of the recipe's system; model: the file that `run/best.pt` was exported to.
    """
    spec, log = spec_from_onnx(model), _log(run)
    step = int(read_checkpoint(run / "best.pt")["step"])
    parts = (
        f"# {spec.name}\n\n{spec.description.rstrip('.')}.\n\n{WARNING}",
        _table(("", ""), _facts(spec, system, recipe, run, model, step, log)),
        f"## Validation at step {step}\n\n" + _table(("figure", "value"), _figures(log, step)),
        "## Data\n\n"
        + _table(("set", "train / val / test", "SHA-256 of its table"), _sets(system, recipe, data)),
        f"## Recipe\n\n`{config.name}`, SHA-256 `{_hash(config)}`:",
        f"```toml\n{config.read_text('utf-8').strip()}\n```",
    )
    return "\n\n".join(parts) + "\n"


def parameters_of(model: Path) -> int:
    """Return how many weights a model file holds; constants that steer shapes are none."""
    weights = onnx.load(model).graph.initializer
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    return sum(math.prod(one.dims) for one in weights if one.data_type in kinds)


def macs_of(system: Any, recipe: Record) -> int:
    """Return the multiply-accumulates of a recipe's network for one picture or crop at its nominal size."""
    network, eaten = system.network(recipe).eval(), system.spec(recipe).input
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, eaten.height, eaten.width))
    return int(counter.get_total_flops()) // 2


def _facts(
    spec: ModelSpec, system: Any, recipe: Record, run: Path, model: Path, step: int, log: list[Record]
) -> list[tuple[str, str]]:
    per = "a crop" if spec.task == "face" else f"at {spec.input.width}x{spec.input.height}"
    return [
        ("task", spec.task),
        ("version", spec.version),
        ("precision", spec.precision),
        ("parameters", f"{parameters_of(model) / 1e6:.3f} M"),
        ("multiply-accumulates", f"{macs_of(system, recipe) / 1e6:.1f} M {per}"),
        ("steps", f"{step}, the best of {recipe['schedule']['steps']}"),
        ("seed", _started(log, "seed")),
        ("commit", _started(log, "commit")),
        ("model file", f"`{model.name}`, {model.stat().st_size / 1e6:.2f} MB, SHA-256 `{_hash(model)}`"),
        ("checkpoint", f"`best.pt`, SHA-256 `{_hash(run / 'best.pt')}`"),
        ("licence", spec.licence),
    ]


def _started(log: list[Record], key: str) -> str:
    """Return what the run was started and resumed with, each part where it differs from the one before."""
    said: list[str] = []
    last = None
    for line in log:
        if line["kind"] == "start" and line[key] != last:
            last = line[key]
            said.append(f"{last}" + (f" from step {line['step']}" if line["step"] else ""))
    return ", ".join(said) or "not logged"


def _figures(log: list[Record], step: int) -> list[tuple[str, str]]:
    """Return the figures of the last evaluation at a step; a resumed run may have repeated it."""
    lines = [line for line in log if line["kind"] == "val" and line["step"] == step]
    shown = {} if not lines else lines[-1]
    return [
        (f"`{name}`", "-" if value is None else f"{value:.4g}")
        for name, value in shown.items()
        if name not in ("kind", "step", "best")
    ]


def _sets(system: Any, recipe: Record, data: Path) -> list[tuple[str, str, str]]:
    there, rows = set_names(data), []
    for name in system.sets_of(recipe):
        if name not in there:
            rows.append((name, "-", "not in the folder: made from other sets"))
            continue
        found = Counter(row["split"] for row in open_set(data, name).rows)
        counts = " / ".join(str(found[split]) for split in ("train", "val", "test"))
        rows.append((name, counts, f"`{_hash(data / f'{name}.csv')}`"))
    return rows


def _log(run: Path) -> list[Record]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
