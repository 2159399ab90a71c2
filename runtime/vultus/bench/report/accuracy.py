"""Accuracy against latency: what the models of the results are worth, beside what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vultus.bench.report.drawing import LINE, SERIES, Canvas
from vultus.bench.report.markup import Html, clean, table
from vultus.bench.report.results import Accuracy, Shown, middle_ms

__all__ = ["accuracy_parts"]

MARKERS = "osD^vPX*"


@dataclass(frozen=True)
class _Figure:
    """One figure of an accuracy result: where it stands and what it is. better: which way."""

    path: str
    key: str
    words: str
    better: str


FIGURES = (
    _Figure("detector.crowds", "ap40", "faces in crowds: AP at IoU 0.4", "higher"),
    _Figure("landmarks68.all", "nme_outer", "68 landmarks: error, % of the eye distance", "lower"),
    _Figure("age.utkface", "mae", "age: mean error, years", "lower"),
    _Figure("gender.utkface", "accuracy", "gender: share right", "higher"),
    _Figure("expression.fer2013", "accuracy", "expression: share right", "higher"),
)


@dataclass(frozen=True)
class _Point:
    """One figure of one result's models, with its 95 % interval where there is one."""

    number: int
    one: Shown
    ms: float | None
    value: float
    sides: tuple[float, float] | None


def accuracy_parts(canvas: Canvas, shown: Sequence[Shown], measured: Sequence[Accuracy]) -> Iterator[Html]:
    """Yield the table and, where a latency is known, the plots."""
    found = {figure: list(_points(figure, shown, measured)) for figure in FIGURES}
    found = {figure: points for figure, points in found.items() if points}
    rows = [
        (
            figure.words,
            f"{point.one.letter}",
            _ms(point.ms),
            f"{point.value:.4g}",
            _sides(point.sides),
            figure.better,
        )
        for figure, points in found.items()
        for point in points
    ]
    head = ("figure", "result", "typical time", "value", "95 % interval", "better")
    drawn = {
        figure: points for figure, points in found.items() if any(point.ms is not None for point in points)
    }
    if drawn:
        yield _plot(canvas, drawn)
    if rows:
        yield table("Accuracy of the models that ran, on labelled pictures", head, rows, "figures")


def _points(figure: _Figure, shown: Sequence[Shown], measured: Sequence[Accuracy]) -> Iterator[_Point]:
    group, leaf = figure.path.split(".")
    for number, one in enumerate(shown):
        for accuracy in measured:
            entry = (accuracy.values.get(group) or {}).get(leaf) or {}
            value = entry.get(figure.key)
            if one.letter in accuracy.letters and isinstance(value, (int, float)):
                sides = (entry.get("ci95") or {}).get(figure.key)
                known = (float(sides[0]), float(sides[1])) if sides else None
                yield _Point(number, one, middle_ms(one.record), float(value), known)


def _plot(canvas: Canvas, found: dict[_Figure, list[_Point]]) -> Html:
    figure, rows = canvas.axes(len(found), 1.9)
    for axes, (what, points) in zip(rows, found.items(), strict=True):
        axes.set_title(f"{what.words} ({what.better} is better)")
        axes.margins(x=0.12, y=0.25)
        for point in points:
            if point.ms is None:
                continue
            if point.sides is not None:
                axes.plot([point.ms] * 2, point.sides, color=LINE, linewidth=5, solid_capstyle="round")
            marker, colour = MARKERS[point.number % len(MARKERS)], SERIES[point.number % len(SERIES)]
            axes.plot([point.ms], [point.value], marker, color=colour, markersize=9)
            axes.annotate(
                point.one.letter,
                (point.ms, point.value),
                xytext=(9, 0),
                textcoords="offset points",
                va="center",
            )
    rows[-1].set_xlabel("p50 of a query (offline: mean time of a frame), ms")
    told = " ".join(
        f"{what.words}: "
        + ", ".join(f"{point.one.letter} {point.value:.4g} at {_ms(point.ms)}" for point in points)
        + "."
        for what, points in found.items()
    )
    return canvas.figure(
        figure,
        "Accuracy against latency. Bars are 95 % intervals; letters are those of the results.",
        clean(told),
    )


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g} ms"


def _sides(sides: tuple[float, float] | None) -> str:
    return "unknown" if sides is None else f"{sides[0]:.4g} – {sides[1]:.4g}"
