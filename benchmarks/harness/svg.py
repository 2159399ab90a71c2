"""The few parts of a plot as an SVG that is the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["BOTTOM", "GREY", "HEIGHT", "LEFT", "OTHER", "OWN", "RIGHT", "TOP", "WIDTH", "text", "whole"]

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 52
OWN, OTHER, GREY = "#c2410c", "#1d4ed8", "#6b7280"
STYLE = "font-family='system-ui,sans-serif' font-size='12'"


def whole(parts: Sequence[str]) -> str:
    """Return the picture that the parts make, on white."""
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}' "
        f"role='img' {STYLE}>"
    )
    return (
        "\n".join([head, f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>", *parts, "</svg>"]) + "\n"
    )


def text(x: float, y: float, words: str, colour: str, weight: str = "normal", anchor: str = "start") -> str:
    """Return words whose `anchor` end of the baseline lies at x, y."""
    place = f"x='{x:.1f}' y='{y:.1f}' fill='{colour}' font-weight='{weight}' text-anchor='{anchor}'"
    return f"<text {place}>{escape(words)}</text>"
