"""Reading of small files that may be absent, unreadable or empty: what is not there is None, never an error."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

__all__ = ["children", "integer", "reason", "scaled", "text"]

# A sensor whose part is switched off answers EAGAIN, which Python's file objects turn into None in the place of
# bytes; os.read raises it. O_NONBLOCK keeps a pipe in the place of a file from stopping us.
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
PIECE = 1 << 16


def _content(path: Path) -> bytes:
    descriptor = os.open(path, FLAGS)
    try:
        pieces = []
        while piece := os.read(descriptor, PIECE):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def text(path: Path) -> str | None:
    """Return what a file says, without the blanks around it and the zero byte that ends a device tree's, or None."""
    try:
        return _content(path).decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None


def integer(path: Path) -> int | None:
    """Return the whole number that a file holds, or None."""
    try:
        return int(_content(path))
    except (OSError, ValueError):
        return None


def scaled(path: Path, factor: float) -> float | None:
    """Return the number that a file holds times a factor, or None."""
    value = integer(path)
    return None if value is None else value * factor


def reason(path: Path) -> str:
    """Return why a number cannot be read from a file, empty when it can."""
    try:
        content = _content(path)
        int(content)
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError:
        return f"holds {content[:20]!r}, which is no number" if content.strip() else "is empty"
    return ""


def children(folder: Path, pattern: str, fits: Callable[[Path], bool] = lambda path: True) -> list[Path]:
    """Return the entries of a folder that match a glob, hwmon2 ahead of hwmon10; none when it is not readable."""
    try:
        return sorted((path for path in folder.glob(pattern) if fits(path)), key=_natural)
    except OSError:
        return []


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
