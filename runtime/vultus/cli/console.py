"""What all commands share: two consoles, exit codes, and errors that end as one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import IO

import typer
from rich.console import Console

from vultus.errors import DeviceError, InputError, ModelError, SinkError, SpecError, VultusError

__all__ = ["ExitCode", "clean_exit", "error_console", "output_console", "say"]

PLAIN_WIDTH = 140  # columns of a table that goes into a file or pipe


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SOME_INPUTS_FAILED = 3
    ENGINE = 4
    OUTPUT = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave the exit code to `clean_exit`; rich's own is 1."""
        raise BrokenPipeError


def output_console() -> Console:
    """Return the console on standard output."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return _Console(file=sys.stdout, highlight=False, width=width)


@contextmanager
def error_console() -> Iterator[Console]:
    """Yield a console on a copy of standard error, which stays open while image libraries are muted."""
    try:
        own = sys.stderr.fileno() == 2
    except (AttributeError, OSError):
        own = False
    if not own:
        yield _Console(file=sys.stderr, highlight=False)
        return
    with os.fdopen(os.dup(2), "w", errors="backslashreplace") as copy:
        yield _Console(file=copy, highlight=False)


def say(console: Console, text: str) -> None:
    """Print one plain line, however long, with nothing in it taken for markup."""
    console.print(text, markup=False, emoji=False, soft_wrap=True)


@contextmanager
def clean_exit() -> Iterator[None]:
    """End a command with one line and an exit code where it would end with a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        _end("interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        _forget(sys.stdout)
        raise typer.Exit(ExitCode.BROKEN_PIPE) from None
    except VultusError as error:
        _end(str(error), _code_of(error))


def _code_of(error: VultusError) -> ExitCode:
    if isinstance(error, InputError):
        return ExitCode.USAGE
    if isinstance(error, (DeviceError, ModelError, SpecError)):
        return ExitCode.ENGINE
    return ExitCode.OUTPUT if isinstance(error, SinkError) else ExitCode.FAILED


def _end(text: str, code: ExitCode) -> None:
    with error_console() as console:
        say(console, f"vultus: {text}")
    raise typer.Exit(code) from None


def _forget(stream: IO[str]) -> None:
    """Point a stream whose reader has left at nothing, so that the interpreter's last flush is quiet."""
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, stream.fileno())
    finally:
        os.close(sink)
