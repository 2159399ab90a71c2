"""`vultus health`: one answer for people and for probes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.cli.console import clean_exit, output_console, say

if TYPE_CHECKING:
    from vultus.telemetry.health import State

__all__ = ["health"]

WORDS = ("well", "degraded", "DOWN")


def health(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    root: Annotated[
        Path, typer.Option("--root", metavar="DIR", help="Look below this folder instead of /.")
    ] = Path("/"),
) -> None:
    """Tell whether service, first boot and machine are well: temperature, throttling, power, memory.

    Exit codes, for probes: 0 well, 1 degraded, 2 down; each that is not well is told with why.
    """
    with clean_exit():
        from vultus.service.health import health as look
        from vultus.telemetry.health import worst
        from vultus.telemetry.nvml import Nvml

        with Nvml() as nvml:
            found = look(root, nvml if root == Path("/") else None)
        level = worst(found)
        if as_json:
            typer.echo(json.dumps(_values(level, found), indent=2))
        else:
            console = output_console()
            for state in found:
                say(
                    console,
                    f"{WORDS[state.level]:<8}  {state.subject}{f': {state.why}' if state.why else ''}",
                )
    raise typer.Exit(level)


def _values(level: int, found: tuple[State, ...]) -> dict[str, object]:
    states = [
        {"subject": s.subject, "level": s.level, "state": WORDS[s.level].lower(), "why": s.why} for s in found
    ]
    return {"level": level, "state": WORDS[level].lower(), "states": states}
