"""The command `vultus`. Its commands are imported by `main`, so that Ctrl-C is heard from the beginning."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vultus.cli.commands import app

__all__ = ["app", "main"]

INTERRUPTED = 130


def main() -> None:
    """Run the command line; a request to end (SIGTERM) cleans up as Ctrl-C does."""
    try:
        signal.signal(signal.SIGTERM, _leave)
        from vultus.cli.commands import app

        app()
    except KeyboardInterrupt:  # before a command began, which says so itself
        sys.stderr.write("vultus: interrupted\n")
        raise SystemExit(INTERRUPTED) from None


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def __getattr__(name: str) -> Any:
    """Load the commands when they are asked for."""
    if name != "app":
        raise AttributeError(f"module 'vultus.cli' has no attribute {name!r}; it has: {', '.join(__all__)}")
    from vultus.cli.commands import app

    return app
