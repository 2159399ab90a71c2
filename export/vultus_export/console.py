"""What the export commands share: one line for an error, and its exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from vultus.errors import VultusError

__all__ = ["INTERRUPTED", "clear_errors"]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


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
