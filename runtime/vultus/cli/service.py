"""`vultus service`: analyse a live source without end, as a service of systemd or by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vultus.cli.config import CONFIG, usable
from vultus.cli.console import clean_exit

__all__ = ["service"]


def service(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The configuration; see vultus config check.")
    ] = CONFIG,
) -> None:
    """Analyse a live source without end, and write one JSON line a frame to files and sockets.

    SIGHUP reads the configuration again, SIGTERM ends the service. Tells systemd how it is (Type=notify).
    Exit codes: 0 asked to stop or at the end of a source that ends, 78 the configuration cannot be used,
    4 a device or model cannot be used, 5 an output cannot be written.
    """
    with clean_exit(), usable():
        from vultus.service.loop import serve

        serve(config)
