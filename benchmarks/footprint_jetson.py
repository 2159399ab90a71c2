#!/usr/bin/env python3
"""Measure what vultus takes on a Jetson: disk and overlay for aarch64, memory and start of the processes here.

    jetson/wheelhouse.sh --platform jetpack-6.2 && jetson/wheelhouse.sh --platform jetpack-7.2
    python benchmarks/footprint_jetson.py --json benchmarks/results/jetson-footprint.json

Exit codes: 0 measured and within every limit; 1 a limit is passed, or something cannot be measured; 2 usage.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.jetson_process import measured_service
from harness.jetson_table import exceeded
from harness.jetson_trees import measured_platform
from harness.latency import processor
from harness.provenance import REPOSITORY, commit_of, write_json
from vultus import __version__
from vultus.bench.footprint import footprint
from vultus.errors import VultusError

SCHEMA = 1
PLATFORMS = ("jetpack-6.2", "jetpack-7.2")
ATTEMPTS = 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, name what is too large; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        result = measure(asked)
        write_json(asked.json, result)
    except (VultusError, OSError, ValueError) as error:
        print(f"footprint_jetson: {error}", file=sys.stderr)
        return 1
    passed = exceeded(result)
    for words in passed:
        print(f"too large: {words}", file=sys.stderr)
    print(f"written: {asked.json}")
    return int(bool(passed))


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the whole result of one run."""
    trees, overlays = _by_platform(asked.tree), _by_platform(asked.overlay)
    platforms = {
        name: measured_platform(name, trees.get(name), overlays.get(name)) for name in asked.platforms
    }
    began = footprint("cpu", None, None, asked.attempts)
    return {
        "schema": SCHEMA,
        "vultus": __version__,
        "commit": commit_of(),
        "machine": {
            "processor": processor(),
            "architecture": platform.machine().replace("_", "-"),
            "python": platform.python_version(),
            "onnxruntime": metadata.version("onnxruntime"),
        },
        "platforms": platforms,
        "process": {
            "attempts": asked.attempts,
            "import_s": began.import_s,
            "first_result_s": began.first_frame_s,
            "rss_peak": began.rss_peak,
        },
        "service": measured_service(asked.picture, asked.attempts),
    }


def _by_platform(given: Sequence[str]) -> dict[str, Path]:
    """Return NAME=PATH as name -> path; raises ValueError for anything else."""
    pairs = [text.partition("=") for text in given]
    wrong = [name for name, _, path in pairs if not path]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not NAME=PATH, such as jetpack-6.2=DIR")
    return {name: Path(path) for name, _, path in pairs}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument("--platforms", nargs="+", default=PLATFORMS, help="names of jetson/platforms.tsv")
    parser.add_argument(
        "--tree", action="append", default=[], metavar="NAME=DIR", help="a tree of install.sh"
    )
    parser.add_argument(
        "--overlay", action="append", default=[], metavar="NAME=FILE", help="an overlay of make_overlay.sh"
    )
    parser.add_argument("--attempts", type=int, default=ATTEMPTS, help="processes to start")
    parser.add_argument(
        "--picture",
        type=Path,
        default=REPOSITORY / "examples" / "astronaut.png",
        help="what the service analyses",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
