#!/usr/bin/env python3
"""Measure exported models on labelled picture sets, through the runtime as a user would run it.

    python benchmarks/accuracy.py --data DIR --json benchmarks/results/accuracy.json

DIR holds NAME.tar and NAME.csv for each set; rows of split test are measured. What every figure means stands
in docs/accuracy.md. Exit codes: 0 measured, 1 a model or a set cannot be used, 2 usage.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.asking import add_model_options, watched
from harness.measure import ALL_SETS, Sets, measure_detector, measure_faces, sets_in
from harness.provenance import choose_models, commit_of, joined_precision, write_json
from harness.report import print_figures
from vultus import __version__
from vultus.errors import VultusError
from vultus.pipeline import Analyzer
from vultus.spec import DetectorSpec
from vultus_export.metrics.detection import LOWEST_SCORE
from vultus_export.metrics.identity import model_entry
from vultus_export.metrics.intervals import DRAWS, SEED

SCHEMA = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the JSON and print the table; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        result = measure(asked)
        write_json(asked.json, result)
    except (VultusError, OSError, ValueError, tarfile.TarError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 1
    print_figures(result)
    print(f"written: {asked.json}")
    return 0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the whole result of one run."""
    began = time.perf_counter()
    sets = sets_in(asked.data, asked.sets)
    files = choose_models(asked.models, asked.precision)
    models = [model_entry(path) for path in files]
    figures = _figures(files, asked.device, asked.threads, sets)
    return {
        "schema": SCHEMA,
        "vultus": __version__,
        "commit": commit_of(),
        "precision": joined_precision(models),
        "models": models,
        "ran_on": figures.pop("ran_on"),
        "seconds": round(time.perf_counter() - began, 1),
        "bootstrap": {"draws": DRAWS, "seed": SEED},
        **figures,
    }


def _figures(files: list[Path], device: str, threads: int | None, sets: Sets) -> dict[str, Any]:
    """Run both passes: all boxes down to a low score, then single faces as the models are shipped."""
    with Analyzer(device, files, attributes=(), min_score=LOWEST_SCORE, threads=threads) as finder:
        shipped = finder.specs["detector"].detector
        assert isinstance(shipped, DetectorSpec), "an Analyzer's detector has a detector part"
        detector = measure_detector(finder, sets, shipped.min_score, watched)
    with Analyzer(device, files, threads=threads) as analyzer:
        faces = measure_faces(analyzer, sets, watched)
    return {**detector, **faces, "ran_on": detector["ran_on"] | faces["ran_on"]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], epilog="What each figure means: docs/accuracy.md"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the picture sets")
    parser.add_argument("--json", type=Path, required=True, help="file to write the result to")
    parser.add_argument(
        "--sets", type=_names, default=ALL_SETS, help=f"comma-separated, of: {','.join(ALL_SETS)}"
    )
    add_model_options(parser, "measure")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in ALL_SETS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"unknown set {', '.join(unknown)!r}; known: {', '.join(ALL_SETS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
