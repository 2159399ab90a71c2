"""What the scripts that measure models through an Analyzer share: options of the models, progress over a set."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from vultus_export.metrics.faces import Row

__all__ = ["add_model_options", "watched"]

COUNTED = Console(stderr=True)


def add_model_options(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add --precision, --models, --device and --threads. verb: what the script does with the models."""
    parser.add_argument("--precision", help=f"{verb} the installed models of this precision, such as fp16")
    parser.add_argument(
        "--models", type=Path, nargs="+", default=[], help="model files instead of the default"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads; by default as many as the engine chooses")


def watched(rows: Sequence[Row], name: str) -> Iterable[Row]:
    """Pass rows through while a bar shows how far the set of that name is."""
    return track(rows, description=f"{name:<12}", console=COUNTED)
