"""What a build gave, for people: the file, where it runs, and the share of layers and of time in each precision."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from vultus.engines.sidecar import FLAVOURS
from vultus_export.tensorrt.inspect import Layer, shares
from vultus_export.tensorrt.make import Made

__all__ = ["show"]


def show(made: Made, console: Console, times: Mapping[str, float] | None = None, untimed: str = "") -> None:
    """Print an engine; times: layer name -> milliseconds, None where it was not measured because of `untimed`."""
    sidecar, built = made.sidecar, made.built
    how = (
        f"built in {made.seconds:.1f} s"
        if built
        else "used again: same model, TensorRT, GPU, profile and flags"
    )
    console.print(f"{made.path}: {sidecar.engine_size / 1e6:.2f} MB, {how}", soft_wrap=True)
    size = sidecar.spec.input
    on = ", ".join(sidecar.compute_capabilities)
    console.print(
        f"{FLAVOURS[sidecar.flavour]} {sidecar.version}, compute capability {on}"
        f"{f' ({sidecar.device})' if sidecar.device else ''}; batch {', '.join(map(str, sidecar.batch))}; "
        f"{size.width}x{size.height}{f'; {chr(44).join(sidecar.flags)}' if sidecar.flags else ''}",
        soft_wrap=True,
    )
    if built is None:
        counted = ", ".join(f"{number} {name}" for name, number in sidecar.layers.items())
        console.print(f"layers: {counted} (by the {sidecar.proof})")
        return
    for warning in built.warnings:
        console.print(f"TensorRT warns: {warning}", soft_wrap=True, markup=False)
    if built.memory:
        console.print(f"needs {built.memory / 2**20:.1f} MiB of GPU memory a context")
    console.print(_table(built.layers, times, sidecar.precision, sidecar.proof))
    if times is None:
        console.print(f"time per layer not measured: {untimed}", soft_wrap=True, markup=False)


def _table(layers: tuple[Layer, ...], times: Mapping[str, float] | None, precision: str, proof: str) -> Table:
    table = Table(title=f"Model {precision}; layers by the {proof}")
    for heading in ("reads", "layers", "share", "multiplying", "share", *(("ms", "share") if times else ())):
        table.add_column(heading, justify="left" if heading == "reads" else "right")
    multiplying = [layer for layer in layers if layer.multiplies]
    by_layer, by_product = shares(layers), shares(multiplying)
    by_time = shares(layers, times) if times else {}
    for name, share in by_layer.items():
        mine = [layer for layer in layers if layer.precision == name]
        row = [name, str(len(mine)), f"{share:.0%}"]
        row += [str(sum(layer.multiplies for layer in mine)), f"{by_product.get(name, 0):.0%}"]
        if times:
            row += [f"{sum(times.get(layer.name, 0.0) for layer in mine):.3f}", f"{by_time.get(name, 0):.0%}"]
        table.add_row(*row)
    return table
