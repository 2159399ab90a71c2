#!/usr/bin/env python3
"""Measure vultus on this machine's CPU: every scenario of `vultus bench`, and what faces and pixels cost.

    python benchmarks/cpu.py                # benchmarks/results/cpu-*.json, about six minutes
    python benchmarks/cpu.py --cost-alone   # after a change that touches crops or sizes alone, two minutes
    python benchmarks/cpu.py --quick --out /tmp/cpu

The tables of docs/benchmarks.md and README.md are made from them by benchmarks/tables.py. Exit codes: 0 done,
1 something could not be measured, 2 usage.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.cpu_cost import USUAL, costs
from harness.latency import processor
from harness.network_size import models_measured
from harness.provenance import REPOSITORY, commit_of, write_json
from vultus import __version__
from vultus.bench.record import SCHEMA, ScenarioName
from vultus.errors import VultusError
from vultus_export.metrics.identity import sha256_of

RESULTS = REPOSITORY / "benchmarks" / "results"
ROUNDS, QUICK_ROUNDS = 150, 5

SCENARIOS: dict[ScenarioName, list[str]] = {
    "single": [],
    "stream": ["--rate", "30"],
    "multistream": ["--streams", "4"],
    "offline": [],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument(
        "--quick", action="store_true", help="a look at whether all works; no figures to quote"
    )
    parser.add_argument(
        "--cost-alone",
        action="store_true",
        help="measure what faces and pixels cost, and keep the scenarios that are there",
    )
    asked = parser.parse_args(arguments)
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
        scenarios = {
            name: sha256_of(_result(asked.out, name)) if asked.cost_alone else _bench(name, words, asked)
            for name, words in SCENARIOS.items()
        }
        found = costs(QUICK_ROUNDS if asked.quick else ROUNDS)
        write_json(asked.out / "cpu-cost.json", {**_provenance(scenarios, asked.quick), **found})
    except (VultusError, OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"cpu: {error}", file=sys.stderr)
        return 1
    print(f"written: {asked.out}/cpu-*.json")
    return 0


def _result(folder: Path, name: ScenarioName) -> Path:
    return folder / f"cpu-{name}.json"


def _bench(name: ScenarioName, words: Sequence[str], asked: argparse.Namespace) -> str:
    """Run `vultus bench` as a user would; return the hash of its result."""
    path = _result(asked.out, name)
    frame = ["--faces", str(USUAL[0]), "--size", f"{USUAL[1]}x{USUAL[2]}"]
    length = ["--quick"] if asked.quick else []
    command = [sys.executable, "-m", "vultus", "bench", name, *frame, *words, *length]
    subprocess.run([*command, "--device", "cpu", "--json", str(path)], check=True)
    return sha256_of(path)


def _provenance(scenarios: dict[ScenarioName, str], quick: bool) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "vultus": __version__,
        "commit": commit_of(),
        "quick": quick,
        "processor": processor(),
        "models": models_measured(),
        "scenarios": scenarios,
    }


if __name__ == "__main__":
    sys.exit(main())
