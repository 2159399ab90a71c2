"""Time over faces in a frame, with the line that was fitted, as an SVG that is the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from harness.svg import BOTTOM, GREY, HEIGHT, LEFT, OTHER, OWN, RIGHT, TOP, WIDTH, text, whole

__all__ = ["cpu_plot"]

TICKS = 5


def cpu_plot(cost: dict[str, Any] | None) -> str:
    """Return the median time of a frame over the faces in it, in terms of a frame without any."""
    if cost is None:
        return whole([text(LEFT, HEIGHT / 2, "Not measured yet: run benchmarks/cpu.py", GREY)])
    usual, fitted = cost["usual"], cost["line"]
    cases = [case for case in cost["cases"] if case["width"] == usual["width"]]
    points = sorted((case["faces"], case["median_ms"] / fitted["frame_ms"]) for case in cases)
    across, up = points[-1][0], math.ceil(max(share for _, share in points))
    title = f"Time of a {usual['width']}x{usual['height']} frame over the faces in it, one thread, by that of none"
    ends = [_place(faces, 1 + faces * fitted["face_share"], across, up) for faces in (0, across)]
    path = f"<path d='M{ends[0]}L{ends[1]}' stroke='{OTHER}' fill='none'/>"
    dots = (_place(*point, across, up).split() for point in points)
    marks = [f"<circle cx='{x}' cy='{y}' r='5' fill='{OWN}'/>" for x, y in dots]
    return whole([text(LEFT, 22, title, "#111827", "bold"), *_frame(across, up), path, *marks])


def _place(faces: float, share: float, across: float, up: float) -> str:
    x = LEFT + faces / across * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - share / up * (HEIGHT - TOP - BOTTOM)
    return f"{x:.1f} {y:.1f}"


def _frame(across: int, up: int) -> Iterator[str]:
    for step in range(TICKS):
        share, faces = up * step / (TICKS - 1), across * step / (TICKS - 1)
        x, y = map(float, _place(faces, share, across, up).split())
        yield f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' stroke='#e5e7eb'/>"
        yield f"<path d='M{x:.1f} {TOP}V{HEIGHT - BOTTOM}' stroke='#e5e7eb'/>"
        yield text(LEFT - 8, y + 4, f"{share:g}", GREY, anchor="end")
        yield text(x, HEIGHT - BOTTOM + 18, f"{faces:g}", GREY, anchor="middle")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "faces", GREY, anchor="middle")
