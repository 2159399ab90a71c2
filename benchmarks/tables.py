#!/usr/bin/env python3
"""Make the tables of README.md and docs, and the model cards, from the committed results.

    python benchmarks/tables.py            # write them
    python benchmarks/tables.py --check    # exit 1 and name every file that differs

A text takes a table between <!-- table:NAME --> and <!-- /table:NAME -->; names: accuracy, accuracy-full, cpu,
cpu-cost, gpu, jetson-footprint, models, peers, peers-full, precision, systems, ablation-NAME for each of
benchmarks/ablations.py. The plots docs/peers.svg and docs/cpu.svg are made from peers.json and cpu-cost.json as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.ablation_plans import PLANS
from harness.ablation_table import ablation_table
from harness.cards import card, facts_from, stale_results
from harness.cpu_plot import cpu_plot
from harness.cpu_table import Cpu, cost_table, cpu_results, cpu_table
from harness.gpu_table import gpu_table
from harness.jetson_table import jetson_table
from harness.markdown import full_table, replace_tables, short_table, table
from harness.network_size import network_size
from harness.peers_plot import peers_plot
from harness.peers_table import full_peers_table, peers_table
from harness.precision_table import precision_table
from harness.provenance import REPOSITORY
from harness.systems_table import systems_table
from vultus.errors import VultusError
from vultus.onnxfile import spec_from_onnx

FACTS = Path(__file__).with_name("cards.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check every generated text; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a text differs")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="root of the project")
    asked = parser.parse_args(arguments)
    try:
        texts = made_texts(asked.root)
    except (VultusError, OSError, ValueError) as error:
        print(f"tables: {error}", file=sys.stderr)
        return 1
    changed = [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in changed:
        print(
            f"{path.relative_to(asked.root)} {'differs: run benchmarks/tables.py' if asked.check else 'written'}"
        )
        if not asked.check:
            path.write_text(texts[path], encoding="utf-8")
    return int(asked.check and bool(changed))


def made_texts(root: Path) -> dict[Path, str]:
    """Return each generated file of a project with the text that it should have.

    Raises ValueError when a result was measured with other model files than those in the package, or a card
    belongs to no model.
    """
    models = sorted((root / "runtime" / "vultus" / "zoo").glob("*.onnx"))
    folder = root / "benchmarks" / "results"
    results, gpus = _results(folder), _gpu_results(folder)
    precision, peers = _single(folder / "precision.json"), _single(folder / "peers.json")
    cpu = cpu_results(folder, _single(folder / "cpu-cost.json"), models)
    compared = {"peers.json": peers} if peers else {}
    stale = stale_results(results | _masters(precision) | compared, models)
    if stale:
        raise ValueError("; ".join(stale))
    texts = {path.with_suffix(".md"): card(path, facts_from(FACTS), results) for path in models}
    orphans = set((root / "runtime" / "vultus" / "zoo").glob("*.md")) - set(texts)
    if orphans:
        raise ValueError(
            f"{', '.join(sorted(path.name for path in orphans))}: the card of no model; delete it"
        )
    return texts | _documents(root, models, results, precision, peers, cpu, list(gpus.values()))


def _documents(
    root: Path,
    models: Sequence[Path],
    results: dict[str, Any],
    precision: dict[str, Any] | None,
    peers: dict[str, Any] | None,
    cpu: Cpu | None,
    gpus: Sequence[dict[str, Any]],
) -> dict[Path, str]:
    main_result = results.get("accuracy.json")
    tables: dict[str, Callable[[], str]] = {
        "accuracy": lambda: short_table(main_result),
        "accuracy-full": lambda: full_table(main_result),
        "cpu": lambda: cpu_table(cpu),
        "cpu-cost": lambda: cost_table(cpu),
        "gpu": lambda: gpu_table(gpus),
        "jetson-footprint": lambda: jetson_table(
            _single(root / "benchmarks" / "results" / "jetson-footprint.json")
        ),
        "models": lambda: models_table(models),
        "peers": lambda: peers_table(peers),
        "peers-full": lambda: full_peers_table(peers),
        "precision": lambda: precision_table(precision),
        "systems": lambda: systems_table(models, _defaults(root), results),
        **_ablations(root / "benchmarks" / "results"),
    }
    pages = (root / "README.md", root / "jetson" / "README.md", *sorted((root / "docs").glob("*.md")))
    texts = {
        path: replace_tables(path.read_text("utf-8"), tables, path.name) for path in pages if path.exists()
    }
    plots: dict[str, tuple[str, Callable[[], str]]] = {
        "peers.md": ("peers.svg", lambda: peers_plot(peers)),
        "benchmarks.md": ("cpu.svg", lambda: cpu_plot(cpu.cost if cpu else None)),
    }
    docs = root / "docs"
    return texts | {docs / file: draw() for page, (file, draw) in plots.items() if docs / page in texts}


def _defaults(root: Path) -> list[str]:
    """Return the file names of the models that an Analyzer takes by itself."""
    chosen = json.loads((root / "runtime" / "vultus" / "zoo" / "default.json").read_text("utf-8"))
    return list(chosen["models"])


def _results(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("accuracy*.json"))}


def _gpu_results(folder: Path) -> dict[str, Any]:
    """Return the results of scripts/gpu-check; raises ValueError for one that no GPU gave.

    They may be of earlier model files, for not everyone who trains has that GPU; the table names their commit.
    """
    found = {path.name: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("gpu-*.json"))}
    for name, result in found.items():
        untrue = result["device"]["fake"] or any(
            entry["quick"] for part in result["parts"].values() for entry in part.values()
        )
        if untrue:
            raise ValueError(
                f"{name} is no measurement: it is of a quick run or of the tests' stand-in; delete it"
            )
    return found


def _ablations(folder: Path) -> dict[str, Callable[[], str]]:
    """Return what makes the table of each ablation."""
    results = {name: _single(folder / f"ablation-{name}.json") for name in PLANS}
    return {f"ablation-{name}": partial(ablation_table, name, found) for name, found in results.items()}


def _single(path: Path) -> dict[str, Any] | None:
    """Return a result of which there is one file, such as benchmarks/precision.py's, None where there is none."""
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else None


def _masters(precision: dict[str, Any] | None) -> dict[str, Any]:
    """Return the models that were lowered and measured, as other results name theirs."""
    measured = precision["models"].values() if precision else ()
    entries = [entry for model in measured for entry in model["precisions"].values()]
    return {"precision.json": {"models": entries}} if entries else {}


def models_table(models: Sequence[Path]) -> str:
    """Return the table of the models that the package holds."""
    rows = []
    for path in models:
        spec, size = spec_from_onnx(path), network_size(path)
        numbers = (f"{size.parameters / 1e6:.2f} M", f"{size.macs / 1e6:.0f} M", f"{size.bytes / 1e6:.2f} MB")
        rows.append((spec.name, spec.task, spec.precision, *numbers))
    head = ("model", "task", "precision", "parameters", "multiply-accumulates", "file")
    return table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
