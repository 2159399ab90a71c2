"""What live sources have in common: frames as they come, from pictures, videos, streams and cameras."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from typing import Protocol

from vultus.errors import SourceError
from vultus.types import Frame

__all__ = ["Feed", "PictureFeed", "Taken", "without_secrets"]

Taken = tuple[str, Frame | SourceError]
"""(printable name, a frame or why there is none while the feed goes on)."""

_SECRETS = re.compile(r"(?<=://)[^/\s]*@")


class Feed(Protocol):
    """A source of frames that can be opened again and again; its name holds no passwords."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def live(self) -> bool:
        """Whether it goes on without waiting for us, so that frames have to be dropped and an end is a failure."""

    def frames(self) -> Generator[Taken, None, None]:
        """Open it and yield what comes until it ends; closing the iterator closes it.

        Raises SourceError when it cannot be opened or breaks off.
        """

    def interrupt(self) -> None:
        """Make a wait for the next frame end soon; called from another thread."""


class PictureFeed:
    """The pictures of a file, a folder or a glob, each once and in order; see `vultus.sources`."""

    live = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)

    def frames(self) -> Generator[Taken, None, None]:
        """Yield the pictures; those that cannot be read as SourceError."""
        from vultus.sources import open_sources

        # Not quiet: that redirects the whole process's standard error, where other threads write.
        yield from open_sources([self.name])

    def interrupt(self) -> None:
        """Do nothing: a picture is read quickly."""


def without_secrets(address: str) -> str:
    """Return an address without the user and password in it, for logs and results."""
    return _SECRETS.sub("", address)
