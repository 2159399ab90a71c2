"""The page of a report, from the verdict down to the fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files

from vultus import __version__
from vultus.bench.record import Record
from vultus.bench.report import plots, tables
from vultus.bench.report.accuracy import accuracy_parts
from vultus.bench.report.drawing import Canvas, canvas
from vultus.bench.report.markup import Html, element, join, listing
from vultus.bench.report.results import Accuracy, Shown

__all__ = ["page"]

# The page may not reach for anything, whatever got into it: nothing is allowed but its own styles.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SHARES = {"p90": 0.9, "p99": 0.99}


def page(shown: Sequence[Shown], measured: Sequence[Accuracy] = ()) -> str:
    """Return a whole HTML page; raises DeviceError without matplotlib."""
    with canvas() as drawing:
        sections = list(_sections(drawing, shown, measured))
    body = element(
        "main",
        _header(shown),
        element("nav", listing(_links(sections)), aria_label="Sections"),
        element("div", *(_card(one) for one in shown), class_="cards"),
        *(_section(name, title, parts) for name, title, parts in sections),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(shown), element('body', body), lang='en')}\n"


def _head(shown: Sequence[Shown]) -> Html:
    style = files("vultus.bench.report").joinpath("style.css").read_text(encoding="utf-8")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"vultus bench: {', '.join(one.name for one in shown)}"),
        element("style", Html(style)),
    )


def _header(shown: Sequence[Shown]) -> Html:
    valid = sum(one.record.verdict.valid for one in shown)
    count = "1 result" if len(shown) == 1 else f"{len(shown)} results"
    said = f"{count}, {valid} of which may be quoted. Made by vultus {__version__}; every figure is of the run itself."
    return element("header", element("h1", "Benchmark of vultus"), element("p", said, class_="soft"))


def _links(sections: Sequence[tuple[str, str, list[Html]]]) -> Iterator[Html]:
    for name, title, _ in sections:
        yield element("a", title, href=f"#{name}")


def _section(name: str, title: str, parts: Sequence[Html]) -> Html:
    return element("section", element("h2", title, id=name), *parts, aria_labelledby=name)


def _card(one: Shown) -> Html:
    record = one.record
    given = record.input
    place = dict.fromkeys(model.ran_on for model in record.models)
    parts = [
        element("h3", element("span", one.letter, class_="letter"), one.name),
        element("p", *_headline(record), class_="headline"),
        element("p", f"{_length(record)} on {given.name}, {given.width}x{given.height}"),
        element("p", f"{_machine(record)}; {'; '.join(place)}", class_="soft"),
    ]
    if record.note:
        parts.append(element("p", f"Note: {record.note}"))
    return element("article", *parts, _verdict(one), class_="card")


def _machine(record: Record) -> str:
    """Return board, processor and GPUs, as far as they are told."""
    found = record.fingerprint
    board = (found.get("board") or {}).get("model")
    return (
        ", ".join(str(name) for name in (board, found.get("cpu"), *(found.get("gpus") or ())) if name)
        or "unknown machine"
    )


def _headline(record: Record) -> Iterator[str]:
    name = record.scenario.headline
    if name == "throughput":
        yield f"{record.throughput:.4g} "
        yield element("small", "frames/s")
        return
    found = record.latency.at(SHARES[name]) if record.latency else None
    yield "– " if found is None else f"{found:.4g} "
    few = f"ms {name}" if found is not None else f"{name}: too few samples"
    yield element("small", few)


def _length(record: Record) -> str:
    quick = "a quick look, " if record.scenario.length == "quick" else ""
    return f"{record.scenario.name}, {quick}{record.counts.seconds:.0f} s"


def _verdict(one: Shown) -> Html:
    verdict = one.record.verdict
    if verdict.valid:
        said = element("strong", "✓ Valid: these figures may be quoted")
        return element("div", said, class_="verdict valid")
    reasons = verdict.reasons or ("no reason is given",)
    said = element("strong", "✗ Not valid: these figures may not be quoted")
    return element("div", said, listing(reasons), class_="verdict invalid")


def _sections(
    drawing: Canvas, shown: Sequence[Shown], measured: Sequence[Accuracy]
) -> Iterator[tuple[str, str, list[Html]]]:
    gaps = [one.missing for one in shown if one.missing]
    said = listing(gaps, class_="soft") if gaps else None
    yield (
        "latency",
        "Latency",
        _there(said, plots.cdf(drawing, shown), tables.latency_table(shown), plots.over_time(drawing, shown)),
    )
    yield (
        "stages",
        "Where the time goes",
        _there(plots.stage_bars(drawing, shown), tables.stages_table(shown)),
    )
    if measured:
        yield (
            "accuracy",
            "Accuracy against latency",
            [_measured(measured), *accuracy_parts(drawing, shown, measured)],
        )
    yield (
        "energy",
        "Energy",
        _there(
            tables.energy_table(shown),
            plots.power(drawing, shown) or _nothing("No power rail could be read through the run."),
            tables.rails_table(shown),
        ),
    )
    yield (
        "temperature",
        "Temperature, clocks and events",
        _there(
            plots.temperatures(drawing, shown) or _nothing("No temperature could be read through the run."),
            plots.clocks(drawing, shown) or _nothing("No clock could be read through the run."),
            tables.events_table(shown)
            or _nothing("No throttling, over-current or change of clocks was seen."),
            tables.unread_table(shown),
        ),
    )
    yield "footprint", "Footprint", _there(tables.footprint_table(shown), plots.memory(drawing, shown))
    yield (
        "machine",
        "Machine, models and provenance",
        _there(tables.fingerprint_table(shown), tables.models_table(shown), tables.provenance_table(shown)),
    )


def _there(*parts: Html | None) -> list[Html]:
    return [part for part in parts if part is not None]


def _nothing(text: str) -> Html:
    return element("p", text, class_="soft")


def _measured(measured: Sequence[Accuracy]) -> Html:
    said = (f"{each.name}: the models of {' and '.join(each.letters)}, by their SHA-256" for each in measured)
    return join([listing(said, class_="soft")])
