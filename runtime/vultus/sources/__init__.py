"""Sources: where frames come from. Each picture is read when it is asked for, and a bad one stops nothing.

A source is a file, a folder (with its subfolders), a glob, or `-` for file names on standard input.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vultus.errors import SourceError
from vultus.sources.listing import PICTURE_SUFFIXES, find_pictures

if TYPE_CHECKING:
    from vultus.types import Frame

__all__ = ["PICTURE_SUFFIXES", "find_pictures", "frames_from_found", "open_sources", "read_picture"]


def open_sources(
    sources: Iterable[str | os.PathLike[str]], names: Iterable[bytes] | None = None, quiet: bool = False
) -> Iterator[tuple[str, Frame | SourceError]]:
    """Yield (printable name, Frame or the SourceError that says why there is none) for every picture.

    names: lines of file names for the source `-`, standard input by default. quiet: see `read_picture`.
    """
    return frames_from_found(find_pictures(sources, names), quiet)


def frames_from_found(
    found: Iterable[tuple[str, str | SourceError]], quiet: bool = False
) -> Iterator[tuple[str, Frame | SourceError]]:
    """Read what `find_pictures` yielded, one picture at a time; see `open_sources`."""
    for name, path in found:
        if isinstance(path, SourceError):
            yield name, path
            continue
        try:
            frame: Frame | SourceError = read_picture(path, quiet)
        except SourceError as error:
            frame = error
        yield name, frame


def read_picture(path: str | os.PathLike[str], quiet: bool = False) -> Frame:
    """Read one picture file as a BGR frame, upright as its EXIF orientation says.

    Grey and palette pictures become BGR, 16-bit values are divided by 256, alpha is dropped, and of an
    animation the first picture is taken. quiet: send what the image libraries print to standard error
    nowhere; this redirects the whole process's standard error while one picture is decoded.
    Raises SourceError, naming the file, when it cannot be read, is no picture or is cut short.
    """
    # OpenCV and NumPy take a tenth of a second to load; listing files needs neither.
    from vultus.sources.pictures import frame_from_file

    return frame_from_file(os.fspath(path), quiet)
