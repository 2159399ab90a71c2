#!/usr/bin/env python3
"""Measure what FP16 and INT8 cost and bring: file size, every figure and group against FP32, CPU time side by side.

    python benchmarks/precision.py --data DIR --json benchmarks/results/precision.json
    python benchmarks/precision.py --data DIR --json benchmarks/results/precision.json --times

DIR is what `vultus-export check` takes as --data; rows of split test are measured. The lowered files are those in the
package, or in --lowered. Each figure is judged as docs/gates.md tells. Exit codes: 0 measured, whatever the verdicts;
1 a model or a set cannot be used; 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.latency import processor
from harness.lowered import lowered_files, measured_model, timed_again
from harness.provenance import commit_of, write_json
from vultus import __version__
from vultus.errors import ModelError, VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.zoo import ZOO, default_models
from vultus_export.gates.compare import Options
from vultus_export.metrics.rows import SPLITS
from vultus_export.progress import shown_progress

SCHEMA = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the verdicts; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        result = retimed(asked) if asked.times else measure(asked)
        write_json(asked.json, result)
    except (VultusError, OSError, ValueError) as error:
        print(f"precision: {error}", file=sys.stderr)
        return 1
    for model in result["models"].values():
        for entry in model["precisions"].values():
            print(entry.get("verdict", f"{entry['name']} {entry['precision']}: the master"))
    print(f"written: {asked.json}")
    return 0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the whole result of one run."""
    began = time.perf_counter()
    masters = asked.models or default_models()
    pairs = [(master, lowered_files(master, asked.precisions, asked.lowered)) for master in masters]
    options = Options(asked.split, asked.most, _detector(masters), asked.device, asked.threads)
    models = {}
    for master, lowered in pairs:
        with shown_progress() as tick:
            entry = measured_model(master, lowered, asked.data, options, asked.rounds, tick)
        models[spec_from_onnx(master).name] = entry
    return {
        "schema": SCHEMA,
        "vultus": __version__,
        "commit": commit_of(),
        "split": asked.split,
        "seconds": round(time.perf_counter() - began, 1),
        "processor": processor(),
        "threads": asked.threads,
        "models": models,
    }


def retimed(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the result in `--json` with the times of now; raises ModelError when it is of other files."""
    result = dict(json.loads(asked.json.read_text("utf-8")))
    options = Options(asked.split, asked.most, None, asked.device, asked.threads)
    for master in asked.models or default_models():
        name = spec_from_onnx(master).name
        if name not in result["models"]:
            raise ModelError(f"{asked.json} holds no {name}; leave --times out")
        files = [master, *lowered_files(master, asked.precisions, asked.lowered)]
        result["models"][name] = timed_again(result["models"][name], files, options, asked.rounds)
    return {**result, "timed_commit": commit_of(), "processor": processor(), "threads": asked.threads}


def _detector(masters: Sequence[Path]) -> Path | None:
    """Return the detector among the masters: it finds the faces for the face networks."""
    return next((path for path in masters if spec_from_onnx(path).task == "detector"), None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], epilog="How figures are judged: docs/gates.md"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the picture sets")
    parser.add_argument("--json", type=Path, required=True, help="file to write the result to")
    parser.add_argument(
        "--models", type=Path, nargs="+", default=[], help="FP32 models instead of the default"
    )
    parser.add_argument("--lowered", type=Path, default=ZOO, help="folder of the lowered models")
    parser.add_argument(
        "--precisions", type=lambda text: text.split(","), default=["fp16", "int8"], help="such as fp16,int8"
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="rows of the sets to measure")
    parser.add_argument("--most", type=int, help="most pictures of a set")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--times",
        action="store_true",
        help="measure the times alone again, on a quieter machine, and keep the figures that --json holds",
    )
    parser.add_argument("--rounds", type=int, default=200, help="calls of each model that are timed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
