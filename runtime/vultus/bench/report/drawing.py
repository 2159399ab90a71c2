"""Matplotlib figures as SVG that takes its colours and its font from the page, in light, dark and print alike."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from vultus.bench.report.markup import Html, clean, element
from vultus.errors import DeviceError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DASHES", "SERIES", "Canvas", "canvas", "series_style", "stage_style"]

# Stand-ins that no plot uses as a real colour; the page knows them as variables.
TEXT, LINE, PAPER = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0400{number:02x}" for number in range(8))
STAGES = tuple(f"#0500{number:02x}" for number in range(10))
DASHES = ("-", "--", "-.", ":")
VARIABLES = {
    TEXT: "currentColor",
    LINE: "var(--line)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)},
    **{colour: f"var(--stage-{number})" for number, colour in enumerate(STAGES)},
}
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vultus",
    "text.parse_math": False,
    "text.color": TEXT,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "hatch.color": PAPER,
    "hatch.linewidth": 0.8,
    "path.simplify": True,
}


class Canvas:
    """Makes the figures of one page and keeps their names apart."""

    def __init__(self) -> None:
        self._count = 0

    def axes(self, rows: int, height: float, width: float = 9.6) -> tuple[Figure, list[Axes]]:
        """Return a figure of some plots below each other, of `height` inches each, with one x axis."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height * rows), layout="constrained", facecolor="none")
        made = figure.subplots(rows, 1, sharex=True, squeeze=False)
        return figure, [row[0] for row in made]

    def figure(self, drawn: Figure, title: str, alt: str) -> Html:
        """Return a figure with its caption, and with `alt` for those who do not see it."""
        self._count += 1
        name = f"plot-{self._count}"
        svg = _svg(drawn, name, title, alt)
        return element("figure", svg, element("figcaption", title))


@contextmanager
def canvas() -> Iterator[Canvas]:
    """Yield what draws, by settings of its own whatever the user's are. Raises DeviceError without matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise DeviceError(
            "a report's plots need the package matplotlib: pip install 'vultus[bench]'"
        ) from error
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Labels in scripts that matplotlib's own font lacks are drawn by the browser, which has them.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(cast(Any, SETTINGS))
        yield Canvas()


def series_style(number: int) -> dict[str, Any]:
    """Return colour and dashes of the n-th line, which differ without colour too."""
    return {"color": SERIES[number % len(SERIES)], "linestyle": DASHES[number % len(DASHES)]}


def stage_style(number: int, device: bool) -> dict[str, Any]:
    """Return colour and hatching of a piece of a bar; what ran on the device is hatched."""
    return {"facecolor": STAGES[number % len(STAGES)], "hatch": "//" if device else "", "edgecolor": PAPER}


def _svg(drawn: Figure, name: str, title: str, alt: str) -> Html:
    buffer = io.StringIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # Metadata names web addresses, and the style would hold for the whole page.
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ([^;\"]*?[\d.]+px) [^;\"]*", r"font: \1 var(--font)", svg)
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, variable)
    box = re.search(r'viewBox="([^"]*)"', svg)
    assert box is not None, "matplotlib writes a viewBox"
    told = element("title", clean(title), id=f"{name}-title") + element("desc", clean(alt), id=f"{name}-desc")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box[1]}" '
    head += f'role="img" aria-labelledby="{name}-title {name}-desc">'
    return Html(head + told + svg[svg.index(">") + 1 :].strip())
