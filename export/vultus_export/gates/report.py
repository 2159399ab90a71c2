"""What a gate found: as JSON, as tables for people, and in one line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from vultus_export.gates.judge import FAILED, FEW, NOISE, OK, Judged, worst
from vultus_export.gates.layers import LayerError
from vultus_export.gates.limits import GROUP_FACTOR, LIMITS, MINIMUM, limit_for

__all__ = ["SCHEMA", "Report", "show"]

SCHEMA = 1
SHOWN_GROUPS = 12
SHOWN_LAYERS = 6


@dataclass(frozen=True)
class Report:
    """The verdict on one model.

    model, master: how the files are named (see metrics.identity). ran_on: engine and device of the model.
    sources: set -> which rows and how many pictures. judged: every measure, for all faces and for each group.
    layers: the one that strays most first; empty when the graphs share no layer. notes: what could not be compared.
    """

    model: dict[str, Any]
    master: dict[str, Any]
    ran_on: str
    sources: dict[str, dict[str, Any]]
    judged: tuple[Judged, ...]
    layers: tuple[LayerError, ...]
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> list[Judged]:
        """The measures over all faces."""
        return [one for one in self.judged if not one.group]

    @property
    def groups(self) -> list[Judged]:
        """The measures over groups."""
        return [one for one in self.judged if one.group]

    @property
    def passed(self) -> bool:
        """Whether no measure failed."""
        return not any(one.status == FAILED for one in self.judged)

    @property
    def worst_metric(self) -> Judged | None:
        """The measure over all faces that is furthest beyond its limit."""
        return worst(self.metrics)

    @property
    def worst_group(self) -> Judged | None:
        """The measure of a group that is furthest beyond its limit."""
        return worst(self.groups)

    @property
    def worst_layer(self) -> LayerError | None:
        """The layer that strays most by itself."""
        return self.layers[0] if self.layers else None

    @property
    def faces(self) -> int:
        """On how many faces the model was compared with its master."""
        counts = (
            one.n for one in self.metrics if not LIMITS[one.kind].relative and one.name != "boxes.flips"
        )
        return max(counts, default=0)

    @property
    def caution(self) -> str:
        """Why the verdict says little, where one face alone weighs more than the finest limit; else empty."""
        limit, faces = limit_for("lost", self.model["precision"]), self.faces
        enough = round(1 / limit)
        if faces >= enough:
            return ""
        weight = f"one of them is {100 / faces:.2g} % of all and " if faces else ""
        return (
            f"judged on {faces} faces: {weight}the finest limit is {100 * limit:g} %, so that only gross damage shows; "
            f"judge on {enough} faces or more"
        )

    @property
    def line(self) -> str:
        """The verdict in one line."""
        model, master = self.model, self.master
        parts = [
            f"{'PASSED' if self.passed else 'FAILED'}: {model['name']} {model['precision']} ({model['file']}) "
            f"against its master {master['file']}",
            f"beyond the limit {_count(self.metrics, 'measures')}",
        ]
        parts[1] += f" and {_count(self.groups, 'group figures')}" if self.groups else ""
        parts += [f"worst measure {_in_words(self.worst_metric)}"] if self.worst_metric else []
        parts += [f"worst group {_in_words(self.worst_group)}"] if self.worst_group else []
        layer = self.worst_layer
        parts += [f"worst layer {layer.layer} ({100 * layer.own:.2g} % off by itself)"] if layer else []
        parts += [f"caution: {self.faces} faces are few"] if self.caution else []
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON; what is not finite is null."""
        return {
            "schema": SCHEMA,
            "passed": self.passed,
            "verdict": self.line,
            "model": self.model,
            "master": self.master,
            "ran_on": self.ran_on,
            "sources": self.sources,
            "faces": self.faces,
            "caution": self.caution,
            "group_minimum": MINIMUM,
            "group_factor": GROUP_FACTOR,
            "worst": {
                "metric": _entry(self.worst_metric),
                "group": _entry(self.worst_group),
                "layer": self.worst_layer.layer if self.worst_layer else None,
            },
            "metrics": [_entry(one) for one in self.metrics],
            "groups": [_entry(one) for one in self.groups],
            "layers": [
                {
                    "layer": one.layer,
                    "operator": one.operator,
                    "own": _number(one.own),
                    "total": _number(one.total),
                }
                for one in self.layers
            ],
            "notes": list(self.notes),
        }


def _count(judged: Sequence[Judged], what: str) -> str:
    """Return how many of those that count failed, and how many may have by chance."""
    counting = [one.status for one in judged if one.status in (OK, NOISE, FAILED)]
    noisy = f" ({counting.count(NOISE)} more within noise)" if NOISE in counting else ""
    return f"{counting.count(FAILED)} of {len(counting)} {what}{noisy}"


def _in_words(one: Judged | None) -> str:
    if one is None:
        return "none"
    group = f"{one.group}: " if one.group else ""
    kind = LIMITS[one.kind]
    worse = "worse " if kind.relative else ""
    return f"{group}{one.name} {kind.shown(one.change, '+')} {worse}(limit {kind.shown(one.limit)})"


def _entry(one: Judged | None) -> dict[str, Any] | None:
    if one is None:
        return None
    numbers = {
        name: _number(getattr(one, name)) for name in ("master", "candidate", "change", "limit", "noise")
    }
    entry = {
        "name": one.name,
        "group": one.group,
        "kind": one.kind,
        "n": one.n,
        **numbers,
        "status": one.status,
    }
    return {**entry, "largest": _number(one.largest)} if one.largest is not None else entry


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def show(report: Report, console: Console) -> None:
    """Print the tables of a report and its verdict."""
    sources = ", ".join(
        f"{name} ({about['pictures']}, {about['rows']})" for name, about in report.sources.items()
    )
    console.print(f"judged on: {sources}", soft_wrap=True)
    console.print(_table("All faces", report.metrics, grouped=False))
    beyond = [one for one in report.groups if one.status in (FAILED, NOISE)]
    if beyond:
        ranked = sorted(beyond, key=lambda one: (one.status != FAILED, -one.excess))
        rest = f", {len(ranked) - SHOWN_GROUPS} more in the JSON" if len(ranked) > SHOWN_GROUPS else ""
        console.print(_table(f"Groups beyond their limit{rest}", ranked[:SHOWN_GROUPS]))
    few = sum(one.status == FEW for one in report.groups)
    if few:
        console.print(
            f"{few} group figures are over fewer than {MINIMUM} faces and do not count (see the JSON)"
        )
    if report.layers:
        console.print(_layers(report.layers[:SHOWN_LAYERS]))
    for note in report.notes:
        console.print(f"note: {note}", soft_wrap=True, markup=False)
    if report.caution:
        console.print(f"caution: {report.caution}", soft_wrap=True, markup=False, style="yellow")
    console.print(report.line, soft_wrap=True, markup=False, style="green" if report.passed else "red")


def _table(title: str, judged: Iterable[Judged], grouped: bool = True) -> Table:
    table = Table(title=title, title_justify="left")
    groups = ("group",) if grouped else ()
    for column in ("measure", *groups, "n", "master", "candidate", "change", "limit", "noise", ""):
        side: Literal["left", "right"] = "left" if column in ("measure", "group", "") else "right"
        table.add_column(column, justify=side, overflow="fold")
    for one in judged:
        values = ("-" if math.isnan(value) else f"{value:.4g}" for value in (one.master, one.candidate))
        kind = LIMITS[one.kind]
        noise = "" if one.noise is None else kind.shown(one.noise)
        status = f"[red]{one.status}[/red]" if one.status == FAILED else one.status
        table.add_row(
            one.name,
            *((one.group,) if grouped else ()),
            str(one.n),
            *values,
            kind.shown(one.change, "+"),
            kind.shown(one.limit),
            noise,
            status,
        )
    return table


def _layers(layers: Iterable[LayerError]) -> Table:
    table = Table(title="Layers that stray most", title_justify="left")
    for column in ("layer", "operator", "by itself", "with all before it"):
        table.add_column(column)
    for one in layers:
        table.add_row(one.layer, one.operator, f"{one.own:.3g}", f"{one.total:.3g}")
    return table
