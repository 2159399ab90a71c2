"""A scatter plot of accuracy against time, as an SVG that is the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from harness.svg import BOTTOM, GREY, HEIGHT, LEFT, OTHER, OWN, RIGHT, TOP, WIDTH, text, whole

__all__ = ["peers_plot"]

LINE = 14
"""Pixels between two labels at least."""

Point = tuple[str, float, float]


def peers_plot(result: dict[str, Any] | None) -> str:
    """Return AP at IoU .4 over the median time of one thread, on a logarithmic scale; what has neither has no point."""
    if result is None:
        return whole([text(LEFT, HEIGHT / 2, "Not measured yet: run benchmarks/peers.py", GREY)])
    points = [
        (row["name"], row["p50_ms"], row["ap40"])
        for row in result["rows"]
        if row["threads"] == 1 and row["p50_ms"] is not None and row["ap40"] is not None
    ]
    low, high = _decades([time for _, time, _ in points] or [1.0])
    return whole([*_frame(result, low, high), *_marks(points, low, high)])


def _decades(times: Sequence[float]) -> tuple[float, float]:
    """Return the powers of ten around the times, as logarithms."""
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    return float(low), float(max(high, low + 1))


def _x(time: float, low: float, high: float) -> float:
    return LEFT + (math.log10(time) - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _frame(result: dict[str, Any], low: float, high: float) -> Iterator[str]:
    picture = result["picture"]
    title = f"Faces found in crowds over time, one thread, {picture['width']}x{picture['height']} with "
    yield text(LEFT, 22, f"{title}{picture['faces']} faces", "#111827", "bold")
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        yield f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' stroke='#e5e7eb'/>"
        yield text(LEFT - 8, y + 4, f"{tenth / 10:.1f}", GREY, anchor="end")
    for time in _ticks(low, high):
        x = _x(time, low, high)
        yield f"<path d='M{x:.1f} {TOP}V{HEIGHT - BOTTOM}' stroke='#e5e7eb'/>"
        yield text(x, HEIGHT - BOTTOM + 18, f"{time:g}", GREY, anchor="middle")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "median ms a picture", GREY, anchor="middle")
    yield f"<g transform='rotate(-90 18 {HEIGHT / 2:.0f})'>"
    yield text(18, HEIGHT / 2, "AP at IoU .4 on crowds", GREY, anchor="middle") + "</g>"


def _ticks(low: float, high: float) -> list[float]:
    decades = [10.0**power for power in range(int(low), int(high) + 1)]
    return [tick * step for tick in decades for step in (1, 2, 5) if tick * step <= 10**high]


def _marks(points: Sequence[Point], low: float, high: float) -> Iterator[str]:
    """Yield a dot and a name for each; a name steps down where it would lie upon another."""
    taken: list[tuple[float, float, float]] = []
    for name, time, share in sorted(points, key=lambda point: (-point[2], point[1], point[0])):
        x, y, width = _x(time, low, high), _y(share), 7.0 * len(name)
        left = x - 8 - width if x + 8 + width > WIDTH - RIGHT else x + 8
        line = y + 4
        while any(
            abs(line - other) < LINE and left < end and start < left + width for start, end, other in taken
        ):
            line += LINE
        taken.append((left, left + width, line))
        colour = OWN if name.startswith("vultus") else OTHER
        yield f"<circle cx='{x:.1f}' cy='{y:.1f}' r='5' fill='{colour}'/>"
        if line != y + 4:
            yield f"<path d='M{x:.1f} {y:.1f}L{max(min(left, x), left):.1f} {line - 4:.1f}' stroke='{GREY}'/>"
        yield text(left, line, name, colour)
