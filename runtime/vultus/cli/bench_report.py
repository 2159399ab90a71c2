"""`vultus bench report`: results as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vultus.cli.console import clean_exit, error_console, say

__all__ = ["report"]


def report(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Results to show side by side.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="Where to write the page.")],
    accuracy: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="ACCURACY.json", help="What benchmarks/accuracy.py measured of the models; repeat it."
        ),
    ] = None,
) -> None:
    """Make one HTML page of results, which needs no network and no other file.

    Exit code: 0 written, 1 a result cannot be read, 2 usage, 4 matplotlib is not installed, 5 cannot be written.
    """
    with clean_exit(), error_console() as errors:
        from vultus.bench.report import write_report

        for gap in write_report(results, out, accuracy or ()):
            say(errors, gap)
        say(errors, f"{out}: {len(results)} result{'' if len(results) == 1 else 's'} shown")
