"""What a report shows: results with their samples, and the accuracy of the models that ran in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vultus.bench.files import load_record, load_samples
from vultus.bench.record import Arrays, Record
from vultus.errors import InputError, SourceError

__all__ = ["MOST", "Accuracy", "Shown", "load_accuracy", "load_results", "middle_ms"]

MOST = 12
"""Results that fit side by side."""


@dataclass(frozen=True)
class Shown:
    """One result on the page. letter: stands for it in plots. missing: why there are no samples, else empty."""

    letter: str
    name: str
    record: Record
    samples: Arrays = field(default_factory=dict)
    missing: str = ""

    @property
    def label(self) -> str:
        """Return how legends name it."""
        name = self.name if len(self.name) <= 32 else f"{self.name[:31]}…"
        return f"{self.letter}: {name}"


@dataclass(frozen=True)
class Accuracy:
    """Figures of the models of some results. letters: of those results."""

    name: str
    values: dict[str, Any]
    letters: tuple[str, ...]


def load_results(paths: Sequence[Path]) -> list[Shown]:
    """Read results. Samples that are not there leave gaps; samples of another run raise SourceError."""
    if not 1 <= len(paths) <= MOST:
        raise InputError(f"a report shows 1 to {MOST} results, got {len(paths)}")
    return [_load(chr(ord("A") + number), path) for number, path in enumerate(paths)]


def _load(letter: str, path: Path) -> Shown:
    record, beside = load_record(path), path.with_suffix(".npz")
    if beside.exists():
        return Shown(letter, path.stem, record, load_samples(path))
    missing = f"{path.name}: its raw samples {beside.name} are not beside it, so nothing of them is drawn"
    return Shown(letter, path.stem, record, missing=missing)


def load_accuracy(paths: Sequence[Path], shown: Sequence[Shown]) -> list[Accuracy]:
    """Read accuracies and find the results that ran the very same model files.

    Raises InputError when there is no such result: the page would show nothing of it.
    """
    return [_accuracy(path, shown) for path in paths]


def _accuracy(path: Path, shown: Sequence[Shown]) -> Accuracy:
    try:
        values = json.loads(path.read_bytes())
        hashes = {model["sha256"] for model in values["models"]}
        if "latency" in values:
            raise ValueError("it is a result of vultus bench")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path}: this is no result of benchmarks/accuracy.py: {error}") from error
    letters = [one.letter for one in shown if {model.sha256 for model in one.record.models} <= hashes]
    if not letters:
        ran = ", ".join(dict.fromkeys(f"{model.file}" for one in shown for model in one.record.models))
        raise InputError(
            f"{path}: it was measured with other model files than those that ran here ({ran}); measure the accuracy "
            "of these files, or leave it out"
        )
    return Accuracy(path.name, values, tuple(letters))


def middle_ms(record: Record) -> float | None:
    """Return the p50 of a query or, offline, the mean time of a frame, in ms."""
    if record.latency is not None:
        return record.latency.at(0.5)
    return 1e3 / record.throughput if record.throughput > 0 else None
