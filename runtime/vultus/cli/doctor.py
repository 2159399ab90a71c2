"""`vultus doctor`: what this machine has, what would run, and how to mend what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from vultus.cli.console import ExitCode, clean_exit, error_console, output_console, say

if TYPE_CHECKING:
    from vultus.doctor import Report

__all__ = ["doctor"]

_MARKS = {"ok": "[green]ok[/green]", "absent": "[dim]-[/dim]", "problem": "[red]problem[/red]"}


def doctor(
    engines: Annotated[
        Path | None,
        typer.Option(
            "--engines",
            exists=True,
            file_okay=False,
            help="Folder of TensorRT engines: say of each whether it runs here, or why it does not.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at Python, packages, GPU, driver, CUDA, TensorRT and JetPack, and say what would run.

    Exit code: 0 when pictures can be analysed here, 4 when nothing can run.
    """
    with clean_exit():
        from vultus.doctor import examine

        report = examine(engine_folder=engines)
        if as_json:
            typer.echo(json.dumps(report.values(), indent=2))
        else:
            _print(report)
        if not report.usable:
            raise typer.Exit(ExitCode.ENGINE)


def _print(report: Report) -> None:
    table = Table(title=f"vultus {report.version}", title_justify="left", header_style="bold")
    for title in ("", "", "", "found"):
        table.add_column(title, overflow="fold")
    section = ""
    for check in report.checks:
        if section and section != check.section:
            table.add_section()
        first = "" if check.section == section else check.section
        section = check.section
        table.add_row(first, escape(check.name), _MARKS[check.status], escape(check.value))
    output_console().print(table)
    with error_console() as errors:
        for check in report.checks:
            if check.fix:
                named = check.fix.startswith(check.name)
                say(errors, check.fix if named else f"{check.name}: {check.fix}")
        say(errors, "pictures can be analysed here" if report.usable else "vultus: nothing can run here")
