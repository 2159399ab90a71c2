"""What a lowering did, for people to read."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from vultus_export.quantize.build import Quantized
from vultus_export.quantize.loss import UNITS
from vultus_export.quantize.search import Kept

__all__ = ["show_quantized"]

MOST_SHOWN = 8


def show_quantized(made: Quantized, console: Console) -> None:
    """Print a lowered model: file, calibration, layers that were kept and why, and what its records lost."""
    spec = made.spec
    line = f"{made.path}: {spec.name} {spec.version}, {spec.task}, {spec.precision}, {made.size / 1e6:.2f} MB"
    console.print(line, soft_wrap=True)
    if made.ranges:
        tried = ", ".join(f"{name} {loss:.3g}" for name, loss in made.ranges.losses.items())
        console.print(
            f"calibration: {made.ranges.method} on {made.pictures} pictures (task loss: {tried})",
            soft_wrap=True,
        )
        for name, method in made.ranges.others.items():
            console.print(f"  {name}: {method}", soft_wrap=True)
    if made.kept is None:
        console.print("no layer was measured: no pictures were given (--calibration FOLDER)")
    else:
        _show_kept(made.kept, console)
    for found in made.deviations:
        console.print(f"  {found.output}: largest error {found.error:.2g} on noise", soft_wrap=True)
    for caution in made.cautions:
        console.print(f"caution: {caution}", soft_wrap=True, markup=False, style="yellow")
    if made.cautions:
        console.print(
            "judge the model before you use it: vultus-export check", style="yellow", soft_wrap=True
        )


def _show_kept(kept: Kept, console: Console) -> None:
    names = ", ".join(kept.layers) or "none"
    console.print(f"kept in higher precision: {names}", soft_wrap=True)
    console.print(
        f"task loss: {kept.before.total:.3g} with every layer lowered, {kept.loss.total:.3g} as written"
    )
    if kept.sensitivity:
        table = Table("layer", "loss alone", "kept", title="Most sensitive layers")
        for name in sorted(kept.sensitivity, key=lambda name: -kept.sensitivity[name])[:MOST_SHOWN]:
            table.add_row(name, f"{kept.sensitivity[name]:.3g}", "yes" if name in kept.layers else "")
        console.print(table)
    table = Table("part of the record", "mean deviation", "one unit of loss", title="Against the FP32 master")
    for name, value in kept.loss.parts.items():
        table.add_row(name, f"{value:.3g}", f"{UNITS[name]:g}")
    console.print(table)
