"""A record as tables and lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vultus.bench.record import Record
from vultus.words import counted

__all__ = ["lines_of", "print_record"]

MEBI, MEGA = 2**20, 1e6


def print_record(record: Record, console: Console) -> None:
    """Print the figures of a record as two tables."""
    console.print(_figures(record))
    console.print(_stages(record))


def lines_of(record: Record) -> Iterator[str]:
    """Yield what ran, what it takes, what its user noted, and whether the figures may be quoted."""
    for place in dict.fromkeys(model.ran_on for model in record.models):
        names = [f"{model.name} ({model.precision})" for model in record.models if model.ran_on == place]
        yield f"{' and '.join(names)} ran on {place}"
    yield from _footprint(record)
    if record.note:
        yield f"note: {record.note}"
    if record.scenario.length == "quick":
        yield "a quick look of 5 s: measure without --quick before quoting figures"
    for reason in record.verdict.reasons:
        yield f"not valid: {reason}"
    if record.verdict.valid:
        yield "valid"


def _figures(record: Record) -> Table:
    scenario, counts = record.scenario, record.counts
    title = f"{scenario.name}, {scenario.length} ({counts.seconds:.1f} s), {record.input.name}, "
    title += f"{record.input.width}x{record.input.height}"
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("", overflow="fold")
    for name, value, remark in _rows(record):
        style = "bold" if name == scenario.headline else None
        table.add_row(name, value, escape(remark), style=style)
    return table


def _rows(record: Record) -> Iterator[tuple[str, str, str]]:
    counts, scenario = record.counts, record.scenario
    yield (
        "samples",
        f"{counts.samples}",
        f"after a warm-up of {counts.warmup} in {counts.warmup_seconds:.1f} s",
    )
    if counts.offered is not None:
        rate = f"{scenario.rate:g} frames/s offered"
        yield "dropped", f"{counts.dropped}", f"of {counts.offered}, {rate}"
    if record.latency is not None:
        yield "mean", f"{record.latency.mean_ms:.2f} ms", f"standard deviation {record.latency.std_ms:.2f}"
        for found in record.latency.percentiles:
            name = f"p{found.share * 100:g}"
            if found.ms is None:
                yield name, "-", f"takes {found.needed} samples"
            else:
                bound = "" if found.upper_ms is None else f"at most {found.upper_ms:.2f} with 99 % confidence"
                yield name, f"{found.ms:.2f} ms", bound
        yield "max", f"{record.latency.max_ms:.2f} ms", ""
    yield (
        "throughput",
        f"{record.throughput:.1f} /s",
        f"frames; {counted(record.input.found, 'face')} found in {counted(record.input.frames, 'input frame')}",
    )
    energy = record.telemetry.energy
    if energy is not None:
        whole = any(rail.board for rail in record.telemetry.rails if rail.name == energy.rail)
        remark = f"a frame, on {energy.rail}{'' if whole else ', a part of the machine'}"
        yield "energy", f"{energy.joules_per_frame:.3g} J", remark


def _stages(record: Record) -> Table:
    table = Table(title="where the time goes", title_justify="left", header_style="bold")
    for name in ("stage", "clock"):
        table.add_column(name)
    for name in ("frames", "mean ms", "p50 ms", "p90 ms", "share"):
        table.add_column(name, justify="right")
    for stage in record.stages:
        name = f"{stage.name} ({stage.term})" if stage.term else stage.name
        times = ("-" if ms is None else f"{ms:.3f}" for ms in (stage.mean_ms, stage.p50_ms, stage.p90_ms))
        share = "beside" if stage.share is None else f"{stage.share:.1%}"
        table.add_row(name, stage.where, str(stage.count), *times, share)
    return table


def _footprint(record: Record) -> Iterator[str]:
    taken = record.footprint
    if taken.import_s is not None and taken.first_frame_s is not None:
        yield f"import {taken.import_s:.2f} s, first frame {taken.first_frame_s:.2f} s after the start of the process"
    sizes = [
        ("steady", taken.rss_steady),
        ("peak", taken.rss_peak),
        ("on the GPU", taken.gpu_bytes),
    ]
    memory = ", ".join(f"{size / MEBI:.0f} MiB {name}" for name, size in sizes if size is not None)
    yield f"memory {memory or 'unknown'}; {taken.installed / MEGA:.0f} MB installed"
    if taken.leak is not None:
        leak = taken.leak
        says = "memory grows" if leak.leaks else "no growth of memory is seen"
        yield (
            f"{says}: {leak.bytes_per_second / 1024:+.1f} KiB/s, 95 % interval "
            f"{leak.low / 1024:+.1f} to {leak.high / 1024:+.1f}"
        )
