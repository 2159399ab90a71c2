"""On which line of a TOML file a value is written, which TOML's own readers do not tell."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["line_of"]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


def line_of(text: str, place: Sequence[str | int]) -> int:
    """Return the line, from 1, of the value at a place such as ("output", 1, "path").

    The nearest table around it for a value that is not there; 1 for one whose table is not there either.
    """
    wanted, best, line = tuple(place), 0, 1
    for number, found in _statements(text):
        shared = len(found)
        if found == wanted[:shared] and shared > best:
            best, line = shared, number
    return line


def _statements(text: str) -> Iterator[tuple[int, tuple[str | int, ...]]]:
    """Yield line and place of every table's header and every key."""
    table: tuple[str | int, ...] = ()
    seen: dict[str, int] = {}
    lines = text.splitlines(keepends=True)
    for index, content in enumerate(lines):
        if not (header := _HEADER.match(content)) and not (key := _KEY.match(content)):
            continue
        if not _whole("".join(lines[:index])):  # within a text or list of several lines
            continue
        if header:
            name = _parts(header[2])
            table = name
            if header[1] == "[[":
                seen[header[2]] = seen.get(header[2], -1) + 1
                table = (*name, seen[header[2]])
            yield index + 1, table
        elif key:
            yield index + 1, (*table, *_parts(key[1]))


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


def _whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
