"""Reading of small files that may be absent, unreadable or empty: what is not there is None, never an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

__all__ = ["children", "integer", "reason", "scaled", "text"]


def text(path: Path) -> str | None:
    """Return what a file says, without the surrounding blanks and the zero bytes of a device tree, or None.

    A sensor whose part is switched off answers EAGAIN, and one that was unplugged ENODEV: both are None.
    """
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None


def integer(path: Path) -> int | None:
    """Return the whole number that a file holds, or None."""
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None


def scaled(path: Path, factor: float) -> float | None:
    """Return the number that a file holds times a factor, or None."""
    value = integer(path)
    return None if value is None else value * factor


def reason(path: Path) -> str:
    """Return why a number cannot be read from a file, empty when it can."""
    try:
        content = path.read_bytes()
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
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
