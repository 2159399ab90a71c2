"""`vultus bench compare`: one result against another, for people and for gates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from vultus.bench.alike import Kind
from vultus.cli.console import ExitCode, clean_exit, error_console, output_console, say
from vultus.errors import InputError, SourceError

if TYPE_CHECKING:
    from vultus.bench.compare import Comparison, Ratio

__all__ = ["compare"]


def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST.json", help="The result to measure against.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND.json", help="The result in question.")],
    fail_over: Annotated[
        str | None,
        typer.Option(
            metavar="5%", help="End with 1 when the second is slower by more than that for certain."
        ),
    ] = None,
    although: Annotated[
        list[Kind] | None,
        typer.Option(help="Compare although they differ in this, or although one is invalid; repeat it."),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the bootstrap.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell how much slower or faster a second result is than a first, with intervals.

    Exit code: 0 compared, 1 slower than --fail-over allows, 2 unlike, invalid, unreadable or too few samples.
    """
    with clean_exit(), error_console() as errors:
        from vultus.bench.compare import SEED, limit_from_text
        from vultus.bench.compare import compare as run

        limit = None if fail_over is None else limit_from_text(fail_over)
        try:
            found = run(first, second, although or (), SEED if seed is None else seed)
        except SourceError as error:
            # 1 is for what is too slow: a gate must be able to tell it from a file that is not there.
            raise InputError(str(error)) from error
        slower = [] if limit is None else found.slower(limit)
        if as_json:
            typer.echo(json.dumps(_values(found, limit, slower), indent=2))
        else:
            output_console().print(_table(found))
        for difference in found.although:
            say(errors, f"although {difference.kind.value}: {difference.text}")
        for remark in found.remarks:
            say(errors, remark)
        if limit is not None:
            say(errors, _verdict(found, slower, limit))
    raise typer.Exit(ExitCode.FAILED if slower else ExitCode.OK)


def _table(found: Comparison) -> Table:
    table = Table(title=f"{escape(found.second)} against {escape(found.first)}", title_justify="left")
    table.add_column("figure")
    for title in ("first", "second", "ratio", "95 % interval"):
        table.add_column(title, justify="right")
    table.add_column("", overflow="fold")
    for ratio in found.ratios:
        table.add_row(*_row(ratio))
    return table


def _row(ratio: Ratio) -> tuple[str, ...]:
    times = tuple("-" if value is None else f"{value:.3f} ms" for value in (ratio.first_ms, ratio.second_ms))
    if ratio.interval is None:
        return (ratio.name, *times, "-", "-", ratio.why)
    low, high = ratio.interval.low, ratio.interval.high
    word = "slower" if low > 1 else "faster" if high < 1 else "no difference seen"
    return (ratio.name, *times, f"{ratio.interval.ratio:.3f}", f"{low:.3f} - {high:.3f}", word)


def _verdict(found: Comparison, slower: list[Ratio], limit: float) -> str:
    if slower:
        return f"vultus: slower by more than {limit:.1%} for certain: " + ", ".join(
            ratio.name for ratio in slower
        )
    unseen = [f"{ratio.name} {ratio.why}" for ratio in found.ratios if ratio.interval is None]
    told = f"not slower for certain by more than {limit:.1%}"
    return told + (f"; not looked at: {'; '.join(unseen)}" if unseen else "")


def _values(found: Comparison, limit: float | None, slower: list[Ratio]) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(found), "limit": limit, "slower": [ratio.name for ratio in slower]}
