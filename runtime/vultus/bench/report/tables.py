"""The tables of a report: results side by side, and unknown figures said to be so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vultus.bench.record import Percentile, Record
from vultus.bench.report.markup import Html, element, join, table
from vultus.bench.report.results import Shown

__all__ = [
    "energy_table",
    "events_table",
    "fingerprint_table",
    "footprint_table",
    "latency_table",
    "models_table",
    "provenance_table",
    "rails_table",
    "stages_table",
    "unread_table",
]

UNKNOWN = "unknown"
DROPPED_KEYS = {"modes", "hertz"}
"""Left out of the fingerprint: every mode that a board has, and a clock at one moment."""


CLOCKS = {"lowest", "highest", "limit"}
"""Fields of a fingerprint in hertz."""


def latency_table(shown: Sequence[Shown]) -> Html:
    """Return percentiles with their upper bounds, and what there is beside them."""
    shares = sorted({found.share for one in shown for found in _percentiles(one.record)})
    rows = [
        ("queries measured", *(f"{one.record.counts.samples}" for one in shown)),
        ("mean", *(_of_latency(one.record, lambda found: f"{found.mean_ms:.3f} ms") for one in shown)),
        (
            "standard deviation",
            *(_of_latency(one.record, lambda found: f"{found.std_ms:.3f} ms") for one in shown),
        ),
        ("fastest", *(_of_latency(one.record, lambda found: f"{found.min_ms:.3f} ms") for one in shown)),
        *((f"p{share * 100:g}", *(_percentile(one.record, share) for one in shown)) for share in shares),
        ("slowest", *(_of_latency(one.record, lambda found: f"{found.max_ms:.3f} ms") for one in shown)),
        ("throughput", *(f"{one.record.throughput:.2f} frames/s" for one in shown)),
        ("frames dropped", *(_dropped(one.record) for one in shown)),
        ("warm-up", *(_warmup(one.record) for one in shown)),
    ]
    return table("Latency of a query", _head("figure", shown), rows, "figures")


def stages_table(shown: Sequence[Shown]) -> Html:
    """Return every stage of every result."""
    rows = [
        (
            stage.name,
            one.letter,
            f"{stage.where}{f', {stage.term}' if stage.term else ''}",
            f"{stage.count}",
            f"{stage.mean_ms:.3f}",
            _or(stage.p50_ms, "{:.3f}"),
            UNKNOWN if stage.p50_ms is None else _or_few(stage.p90_ms, "{:.3f}"),
            "beside the frame" if stage.share is None else f"{stage.share:.1%}",
        )
        for one in shown
        for stage in one.record.stages
    ]
    head = ("stage", "result", "timed by", "frames", "mean, ms", "p50, ms", "p90, ms", "share of a frame")
    return table("Time of each stage in the frames that it ran in", head, rows, "figures")


def energy_table(shown: Sequence[Shown]) -> Html:
    """Return the energy of a frame and the rail that it was measured on."""

    def told(record: Record) -> str:
        energy = record.telemetry.energy
        return f"{energy.joules_per_frame * 1e3:.4g} mJ on {energy.rail}" if energy else UNKNOWN

    rows = [("energy of a frame", *(told(one.record) for one in shown))]
    return table("Energy", _head("figure", shown), rows, "figures")


def rails_table(shown: Sequence[Shown]) -> Html | None:
    """Return every rail of every result."""
    rows = [
        (
            rail.name,
            one.letter,
            rail.source,
            "all of the board" if rail.board else rail.scope,
            f"{rail.joules:.4g}",
            f"{rail.mean_watts:.4g}",
            _or(rail.peak_watts, "{:.4g}"),
        )
        for one in shown
        for rail in one.record.telemetry.rails
    ]
    head = ("rail", "result", "read from", "carries", "J in the run", "mean, W", "peak, W")
    return table("Power rails", head, rows, "figures") if rows else None


def events_table(shown: Sequence[Shown]) -> Html | None:
    """Return what happened to the machines meanwhile."""
    rows = [
        (event.kind.replace("_", " "), one.letter, event.name, f"{event.count}")
        for one in shown
        for event in one.record.telemetry.events
    ]
    return table("Events during the run", ("event", "result", "what", "times"), rows) if rows else None


def unread_table(shown: Sequence[Shown]) -> Html | None:
    """Return what could not be read, and why."""
    rows = [
        (name, one.letter, why) for one in shown for name, why in sorted(one.record.telemetry.unread.items())
    ]
    return table("Not readable on these machines", ("reading", "result", "why"), rows) if rows else None


def footprint_table(shown: Sequence[Shown]) -> Html:
    """Return time to start, memory, installed size and growth of memory."""
    taken = [one.record.footprint for one in shown]
    rows = [
        ("import", *(_or(each.import_s, "{:.3f} s") for each in taken)),
        (
            "start of the process to the first result",
            *(_or(each.first_frame_s, "{:.3f} s") for each in taken),
        ),
        ("resident memory, steady", *(_size(each.rss_steady) for each in taken)),
        ("resident memory, peak", *(_size(each.rss_peak) for each in taken)),
        ("device memory", *(_size(each.gpu_bytes) for each in taken)),
        ("installed size of all packages", *(_size(each.installed or None) for each in taken)),
        ("growth of memory, 95 % interval", *(_growth(one.record) for one in shown)),
    ]
    names = list(dict.fromkeys(package.name for each in taken for package in each.packages))
    sizes = [{package.name: package for package in each.packages} for each in taken]
    for name in sorted(names, key=lambda name: -max(each[name].size for each in sizes if name in each)):
        cells = (
            f"{each[name].version}, {_size(each[name].size)}" if name in each else "not installed"
            for each in sizes
        )
        rows.append((f"installed: {name}", *cells))
    return table("What it takes", _head("figure", shown), rows, "figures")


def models_table(shown: Sequence[Shown]) -> Html:
    """Return every model file that ran."""
    rows = [
        (
            model.name,
            one.letter,
            model.task,
            model.version,
            model.precision,
            model.file,
            model.sha256[:12],
            model.ran_on,
            model.engine_key or "none",
        )
        for one in shown
        for model in one.record.models
    ]
    head = ("model", "result", "task", "version", "precision", "file", "SHA-256", "ran on", "engine key")
    return table("Models", head, rows)


def provenance_table(shown: Sequence[Shown]) -> Html:
    """Return which code ran, as it was asked to, on what."""
    columns = [dict(_provenance(one.record)) for one in shown]
    return _compared("Where the figures come from", shown, columns)


def fingerprint_table(shown: Sequence[Shown]) -> Html:
    """Return the machines, field by field; fields that differ are marked, what none told stands at the end."""
    columns = [dict(_flat(one.record.fingerprint)) for one in shown]
    names = dict.fromkeys(name for column in columns for name in column)
    untold = [name for name in names if all(column.get(name, UNKNOWN) == UNKNOWN for column in columns)]
    known = [{name: told for name, told in column.items() if name not in untold} for column in columns]
    said = element(
        "p", f"Not told by {'it' if len(shown) == 1 else 'any of them'}: {', '.join(untold)}.", class_="soft"
    )
    return join([_compared("The machine", shown, known), *([said] if untold else [])])


def _compared(caption: str, shown: Sequence[Shown], columns: Sequence[dict[str, str]]) -> Html:
    rows: list[Sequence[str]] = []
    for name in dict.fromkeys(name for column in columns for name in column):
        cells = [column.get(name, UNKNOWN) for column in columns]
        head = element("span", f"{name} (differs)", class_="differs") if len(set(cells)) > 1 else name
        rows.append((head, *cells))
    return table(caption, _head("field", shown), rows, "wide")


def _provenance(record: Record) -> Iterator[tuple[str, str]]:
    version, given, scenario = record.version, record.input, record.scenario
    yield "measured", record.created
    yield "vultus", version.vultus
    yield "commit", version.commit or UNKNOWN
    yield "uncommitted changes", UNKNOWN if version.dirty is None else "yes" if version.dirty else "no"
    yield "scenario", f"{scenario.name}, {scenario.length}: {scenario.seconds:g} s"
    if scenario.rate is not None:
        yield "frame rate offered", f"{scenario.rate:g}/s"
    if scenario.name == "multistream":
        yield "streams", f"{scenario.streams}"
    yield "input", f"{given.kind}: {given.name}, {given.width}x{given.height} {given.format}"
    yield "faces found", f"{given.found} in {given.frames} frame{'' if given.frames == 1 else 's'}"
    yield "SHA-256 of the input", given.sha256
    same = record.golden.before == record.golden.after
    yield "results after the run", "as before it" if same else "not as before it"
    yield "SHA-256 of the results", record.golden.before
    yield "SHA-256 of the samples", record.samples_sha256 or UNKNOWN
    for name, value in record.arguments.items():
        yield f"argument: {name}", "not given" if value is None else _plain(value)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of nested plain values by dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in DROPPED_KEYS:
                yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{name} {number + 1}")
    else:
        yield name, UNKNOWN if value is None else _measured(name, value)


def _measured(name: str, value: Any) -> str:
    """Return a field of a fingerprint with its unit, where it has one."""
    field = name.rpartition(".")[2]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if field == "memory":
            return f"{value / 2**30:.1f} GiB"
        if field in CLOCKS:
            return f"{value / 1e6:.0f} MHz"
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _head(first: str, shown: Sequence[Shown]) -> list[str]:
    return [first, *(one.label for one in shown)]


def _percentiles(record: Record) -> tuple[Percentile, ...]:
    return record.latency.percentiles if record.latency else ()


def _percentile(record: Record, share: float) -> str:
    found = next((each for each in _percentiles(record) if each.share == share), None)
    if record.latency is None:
        return "offline has none"
    if found is None:
        return UNKNOWN
    if found.ms is None:
        return f"too few samples ({record.counts.samples} of {found.needed})"
    bound = "" if found.upper_ms is None else f" (99 % sure: ≤ {found.upper_ms:.3f})"
    return f"{found.ms:.3f} ms{bound}"


def _of_latency(record: Record, told: Callable[[Any], str]) -> str:
    return "offline has none" if record.latency is None else told(record.latency)


def _dropped(record: Record) -> str:
    counts = record.counts
    if counts.dropped is None or not counts.offered:
        return "none can be"
    return f"{counts.dropped} of {counts.offered} ({counts.dropped / counts.offered:.1%})"


def _warmup(record: Record) -> str:
    counts = record.counts
    return (
        f"{counts.warmup} in {counts.warmup_seconds:.1f} s, {'settled' if counts.settled else 'not settled'}"
    )


def _growth(record: Record) -> str:
    leak = record.footprint.leak
    if leak is None:
        return UNKNOWN
    low, high = leak.low / 1024, leak.high / 1024
    return f"{low:+.2f} to {high:+.2f} KiB/s: {'it grows' if leak.leaks else 'no growth seen'}"


def _size(value: int | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value / 2**20:.1f} MiB" if value >= 2**20 else f"{value / 2**10:.1f} KiB"


def _or(value: float | None, how: str) -> str:
    return UNKNOWN if value is None else how.format(value)


def _or_few(value: float | None, how: str) -> str:
    return "too few samples" if value is None else how.format(value)
