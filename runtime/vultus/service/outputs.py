"""Where the lines of the service go: files that are turned over when they are full, and sockets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Protocol

from vultus.errors import SinkError
from vultus.service.config import Output
from vultus.service.sockets import SocketOutput

__all__ = ["JsonLinesOutput", "LineOutput", "opened"]

MAX_MIB, KEEP = 64.0, 4


class LineOutput(Protocol):
    """Takes JSON lines without end. warning: why lines are lost at present, empty when none are."""

    warning: str

    def write(self, line: bytes) -> None:
        """Take one line; a failure is told by `warning` and tried again with the next line."""

    def tick(self) -> None:
        """Do what is due between lines."""

    def close(self) -> None:
        """Free it."""


def opened(output: Output) -> LineOutput:
    """Open an output; raises SinkError, naming it, when it cannot be used."""
    if output.kind == "socket":
        return SocketOutput(Path(output.path))
    max_mib = MAX_MIB if output.max_mib is None else output.max_mib
    return JsonLinesOutput(
        Path(output.path), int(max_mib * 2**20), KEEP if output.keep is None else output.keep
    )


class JsonLinesOutput:
    """A file of lines that is gone on with after a restart.

    When the next line would take it above `limit` bytes it becomes NAME.1, NAME.1 becomes NAME.2, up to `keep` of
    them, and a new file is begun.
    """

    def __init__(self, path: Path, limit: int, keep: int) -> None:
        self.path, self._limit, self._keep = path, limit, keep
        self.warning = ""
        self._file: BinaryIO | None = None
        try:
            self._open()
        except OSError as error:
            raise SinkError(_refusal(path, error)) from error

    def write(self, line: bytes) -> None:
        """Append a line."""
        try:
            file = self._file or self._open()
            if self._size and self._size + len(line) > self._limit:
                file = self._turned_over()
            file.write(line)
            self._size += len(line)
            self.warning = ""
        except OSError as error:
            self.warning = _refusal(self.path, error)
            self.close()

    def tick(self) -> None:
        """Do nothing: every line is written at once."""

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file:
            file.close()

    def _open(self) -> BinaryIO:
        self._file = file = self.path.open("ab", buffering=0)
        self._size = os.fstat(file.fileno()).st_size
        if self._size and not _ends_line(self.path):  # a loss of power left half a line
            self._size += file.write(b"\n")
        return file

    def _turned_over(self) -> BinaryIO:
        self.close()
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{n + 1}") for n in range(self._keep))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
        if not self._keep:
            self.path.unlink(missing_ok=True)
        return self._open()


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _refusal(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: cannot be written: the folder {path.parent} does not exist; make it first"
    hint = "; the service may write below /var/lib/vultus" if error.errno in (13, 30) else ""
    return f"{path}: cannot be written: {error.strerror}{hint}"
