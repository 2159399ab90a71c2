"""`vultus config`: look at the configuration of the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from vultus.cli.console import clean_exit, error_console, output_console, say

__all__ = ["CONFIG", "UNUSABLE", "config", "usable"]

CONFIG = Path("/etc/vultus/vultus.toml")
UNUSABLE = 78
"""Exit code of a configuration that cannot be used (EX_CONFIG of sysexits.h); systemd need not try again."""

config = typer.Typer(help="Look at the configuration of the service.", no_args_is_help=True)


@config.callback()
def _group() -> None:
    """Look at the configuration of the service."""


@config.command("check", epilog="Example: vultus config check /etc/vultus/vultus.toml")
def _check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help=f"The configuration, {CONFIG} by default.", show_default=False),
    ] = None,
    root: Annotated[
        Path,
        typer.Option("--root", metavar="DIR", help="Look for what it names below this folder instead of /."),
    ] = Path("/"),
) -> None:
    """Check a configuration: each error with its line and key, and whether models and folders of outputs are there.

    Exit codes: 0 it can be used, 78 it cannot.
    """
    with clean_exit(), usable():
        from vultus.service.checking import check_outputs, checked_config
        from vultus.service.places import places

        file = file or places(root).config
        check_outputs(file, checked_config(file, root), root)
        say(output_console(), f"{file}: can be used")


@contextmanager
def usable() -> Iterator[None]:
    """End with 78 where a configuration cannot be used, each problem on a line of its own."""
    from vultus.service.config import ConfigError

    try:
        yield
    except ConfigError as error:
        with error_console() as console:
            for line in str(error).splitlines():
                say(console, line)
        raise typer.Exit(UNUSABLE) from None
