"""What the user named -> the files that it stands for, in a stable order, one at a time."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator

from vultus.errors import SourceError

__all__ = ["PICTURE_SUFFIXES", "Found", "find_pictures", "printable"]

PICTURE_SUFFIXES = (
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Suffixes, in any case, of the files that are taken from a folder; a file named by itself needs none."""

Found = tuple[str, str | SourceError]
"""(printable name, path to read or the reason why there is none)."""

_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_GLOB = re.compile(r"[*?\[]")


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as one line of valid text: control characters and broken bytes become escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def find_pictures(
    sources: Iterable[str | os.PathLike[str]], names: Iterable[bytes] | None = None
) -> Iterator[Found]:
    """Yield what each source stands for: (name, path), or (name, SourceError) where it stands for nothing.

    Folders are walked with their subfolders in order of name, each real folder once, hidden names left out.
    Globs match as a shell's do, `**` any depth. `-` takes names from `names`, one a line or ended by NUL, as
    they arrive; standard input by default.
    """
    for source in sources:
        name = os.fspath(source)
        yield from _from_names(names) if name == "-" else _from_source(name)


def _from_names(lines: Iterable[bytes] | None) -> Iterator[Found]:
    empty = True
    for line in sys.stdin.buffer if lines is None else lines:
        for name in line.rstrip(b"\r\n").split(b"\0"):
            if name:
                empty = False
                yield from _from_source(os.fsdecode(name))
    if empty:
        yield "-", SourceError("-: no file names came on standard input")


def _from_source(name: str) -> Iterator[Found]:
    if os.path.isdir(name):
        yield from _from_folder(name)
    elif os.path.lexists(name):
        yield printable(name), name
    elif _ADDRESS.match(name):
        yield _failure(name, "streams and web addresses are not read; give a file, a folder or a glob")
    elif _GLOB.search(name):
        yield from _from_glob(name)
    else:
        yield _failure(name, "no such file or folder")


def _from_glob(pattern: str) -> Iterator[Found]:
    matches = sorted(glob.glob(pattern, recursive=True))
    if not matches:
        yield _failure(pattern, "no file matches this pattern")
    for match in matches:
        # Under ** the files of a folder are matches themselves; walking it would bring them twice.
        if not os.path.isdir(match):
            yield printable(match), match
        elif "**" not in pattern:
            yield from _from_folder(match)


def _from_folder(folder: str) -> Iterator[Found]:
    empty = True
    for found in _walk(folder, set()):
        empty = False
        yield found
    if empty:
        kinds = " ".join(PICTURE_SUFFIXES)
        yield _failure(folder, f"no pictures in this folder or below it (looked for {kinds})")


def _walk(folder: str, seen: set[tuple[int, int]]) -> Iterator[Found]:
    """Yield the pictures under a folder; `seen` holds the folders that were entered, so links cannot loop."""
    try:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        yield _failure(folder, f"this folder cannot be read: {error.strerror}")
        return
    for path in (os.path.join(folder, name) for name in names):
        if os.path.isdir(path):
            yield from _walk(path, seen)
        elif path.lower().endswith(PICTURE_SUFFIXES) and (os.path.isfile(path) or os.path.islink(path)):
            yield printable(path), path


def _failure(name: str, reason: str) -> Found:
    shown = printable(name)
    return shown, SourceError(f"{shown}: {reason}")
