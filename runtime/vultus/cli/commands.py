"""All commands of `vultus`. Heavy imports wait inside them, so `vultus --help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from vultus.cli import bench, config, doctor, health, models, run, selftest, service

__all__ = ["app"]

app = typer.Typer(
    name="vultus",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Example: vultus run photos --draw drawn --json faces.jsonl",
)
app.command(epilog="Example: vultus run photos --draw drawn --json faces.jsonl")(run.run)
app.command(epilog="Example: vultus doctor --json")(doctor.doctor)
app.command(epilog="Example: vultus selftest --device cuda")(selftest.selftest)
app.command(epilog="Example: vultus service --config vultus.toml")(service.service)
app.command(epilog="Example: vultus health --json")(health.health)
app.add_typer(bench.bench, name="bench", epilog="Example: vultus bench single --quick")
app.add_typer(models.models, name="models", epilog="Example: vultus models list")
app.add_typer(config.config, name="config", epilog="Example: vultus config check vultus.toml")


def _print_version(wanted: bool) -> None:
    if wanted:
        from vultus import __version__

        typer.echo(f"vultus {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Find faces in pictures and measure their attributes."""
