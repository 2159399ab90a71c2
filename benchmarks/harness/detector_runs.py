"""What the scripts that judge a detector share: their options, opening it, and what a result says of the run."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.asking import add_engine_options
from harness.provenance import commit_of, write_json
from harness.widerface_find import PROTOCOLS, Finder
from vultus import __version__
from vultus.engines import open_engine
from vultus.errors import VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.zoo import default_models, find_model
from vultus_export.metrics.detection import LOWEST_SCORE
from vultus_export.metrics.identity import model_entry
from vultus_export.metrics.intervals import SEED

__all__ = ["DRAWS", "detector_options", "judged_facts", "opened_finder", "result_of", "run_and_show"]

DRAWS = 200
"""Draws of pictures for an interval; each weighs thousands of curves."""


def run_and_show(
    name: str,
    asked: argparse.Namespace,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
) -> int:
    """Measure, write the JSON where it is asked for, and show the figures that stand under `name`.

    Returns the exit code: 1, after one line on stderr, when files or the model cannot be used.
    """
    try:
        result = measure(asked)
        if asked.json:
            write_json(asked.json, result)
    except (VultusError, OSError, ValueError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    show(result[name])
    return 0


def detector_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which detector looks at the pictures, how, on what, and where the JSON goes."""
    parser.add_argument(
        "--detector", type=Path, help="model file or name of an installed model; by default ours"
    )
    parser.add_argument(
        "--protocol", choices=sorted(PROTOCOLS), default="vga", help="how pictures are looked at"
    )
    parser.add_argument("--json", type=Path, help="file to write the result to")
    add_engine_options(parser)


@contextmanager
def opened_finder(asked: argparse.Namespace) -> Iterator[tuple[Finder, dict[str, Any]]]:
    """Open the detector that `detector_options` name; give it with what the result says of it.

    Raises ModelError or DeviceError when it cannot be opened, ValueError when it does not fit the protocol.
    """
    path = _detector(asked.detector)
    with open_engine(path, asked.device, asked.threads) as engine:
        facts = {
            "precision": engine.spec.precision,
            "models": [model_entry(path)],
            "ran_on": {"detect": engine.device},
            "protocol": asked.protocol,
            "min_score": LOWEST_SCORE,
        }
        yield Finder(engine, asked.protocol, LOWEST_SCORE), facts


def judged_facts(missing: int) -> dict[str, Any]:
    """Return what a result says of files of found faces, `missing` pictures of which have none."""
    return {
        "precision": "unknown",
        "models": [],
        "ran_on": {},
        "protocol": "predictions",
        "missing": missing,
    }


def result_of(schema: int, facts: dict[str, Any], figures: dict[str, Any], began: float) -> dict[str, Any]:
    """Return the whole result of a run that began at a reading of `time.perf_counter`."""
    return {
        "schema": schema,
        "vultus": __version__,
        "commit": commit_of(),
        **facts,
        **figures,
        "bootstrap": {"draws": DRAWS, "seed": SEED},
        "seconds": round(time.perf_counter() - began, 1),
    }


def _detector(asked: Path | None) -> Path:
    if asked is not None:
        return find_model(asked)
    return next(path for path in default_models() if spec_from_onnx(path).task == "detector")
