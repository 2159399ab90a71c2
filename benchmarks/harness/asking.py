"""What the scripts that measure models share: options of the models and of what runs them, progress over a set."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

__all__ = ["add_engine_options", "add_model_options", "watched"]

T = TypeVar("T")
COUNTED = Console(stderr=True)


def add_model_options(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add --precision, --models, --device and --threads. verb: what the script does with the models."""
    parser.add_argument("--precision", help=f"{verb} the installed models of this precision, such as fp16")
    parser.add_argument(
        "--models", type=Path, nargs="+", default=[], help="model files instead of the default"
    )
    add_engine_options(parser)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add --device and --threads."""
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads; by default as many as the engine chooses")


def watched(items: Sequence[T], name: str) -> Iterable[T]:
    """Pass items through while a bar on stderr shows how far the set of that name is."""
    return track(items, description=f"{name:<12}", console=COUNTED)
