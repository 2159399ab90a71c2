"""What an export did, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vultus.spec import ModelSpec
from vultus_export.parity import Deviation

__all__ = ["Made", "show"]


@dataclass(frozen=True)
class Made:
    """A model file that was written: its spec, its size, how far each output strays from the reference."""

    path: Path
    size: int
    spec: ModelSpec
    deviations: tuple[Deviation, ...]
    pictures: int


def show(made: Made, console: Console) -> None:
    """Print a made model as one line and a table of its outputs."""
    spec = made.spec
    console.print(
        f"{made.path}: {spec.name} {spec.version}, {spec.task}, {spec.precision}, {made.size / 1e6:.2f} MB",
        soft_wrap=True,
    )
    real = f"{made.pictures} real pictures" if made.pictures else "no real pictures (see --pictures)"
    table = Table("output", "kind", "largest error", "rtol", "atol", title=f"Parity on random and {real}")
    for found in made.deviations:
        rtol, atol = (f"{value:g}" for value in found.allowed)
        table.add_row(found.output, found.kind, f"{found.error:.2g}", rtol, atol)
    console.print(table)
