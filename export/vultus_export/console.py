"""What the export commands share: consoles, one line for an error, and its exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from vultus.errors import VultusError

__all__ = ["INTERRUPTED", "clear_errors", "result_console"]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

PLAIN_WIDTH = 160
"""Columns of a table that goes into a file or pipe: names stay whole, so that they can be searched for."""


def result_console() -> Console:
    """Return the console for results, on standard output; a terminal alone limits how wide a table is."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(highlight=False, width=width)


@contextmanager
def clear_errors() -> Iterator[Console]:
    """Yield the console for results; turn what vultus raises into one line and exit code 1, Ctrl-C into 130."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        yield Console(soft_wrap=True, highlight=False)
    except ImportError as error:
        errors.print(f"error: {error}; pip install 'vultus[export]'", markup=False)
        raise typer.Exit(1) from error
    except VultusError as error:
        errors.print(f"error: {error}", markup=False)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        errors.print("stopped; nothing half-written is left")
        raise typer.Exit(INTERRUPTED) from error
