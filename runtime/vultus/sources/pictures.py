"""Picture files -> frames. Every way in which a file can disappoint ends in one SourceError that names it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

import cv2
import numpy as np

from vultus.errors import SourceError
from vultus.sources.listing import printable
from vultus.types import Frame

__all__ = ["frame_from_file"]

HEAD = 32  # bytes that tell every format apart

FORMATS: dict[str, re.Pattern[bytes]] = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WebP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM.{12}", re.DOTALL),
    "TIFF": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "PNM": re.compile(rb"P[1-6]\s"),
    "AVIF": re.compile(rb".{4}ftyp(avif|avis|mif1.{4}.*avif)", re.DOTALL),
    "JPEG 2000": re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
}

STRANGERS: dict[str, re.Pattern[bytes]] = {
    "a HEIC picture; convert it to JPEG": re.compile(rb".{4}ftyp(hei|hev|mif1|msf1)", re.DOTALL),
    "a video; vultus reads pictures": re.compile(
        rb".{4}ftyp|RIFF....AVI |\x1a\x45\xdf\xa3|\0\0\x01[\xb3\xba]", re.DOTALL
    ),
    "a PDF document": re.compile(rb"%PDF-"),
}

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_END_OF_IMAGE = 0xD9


def frame_from_file(path: str, quiet: bool) -> Frame:
    """Read and decode one file; see `vultus.sources.read_picture`."""
    name = printable(path)
    try:
        kind, data = _content(path)
        if kind in ("JPEG", "PNG") and not (_jpeg_is_whole if kind == "JPEG" else _png_is_whole)(data):
            raise _Refusal(f"this {kind} picture is cut short; copy it again")
        return _decoded(kind, data, quiet)
    except _Refusal as error:
        raise SourceError(f"{name}: {error}") from None
    except OSError as error:
        raise SourceError(f"{name}: cannot be read: {_reason(path, error)}") from error
    except MemoryError as error:
        raise SourceError(f"{name}: not enough memory for a file or picture of this size") from error


class _Refusal(Exception):
    """Why a file is not taken, in words that follow its name."""


def _content(path: str) -> tuple[str, bytes]:
    """Return the format of a file and its bytes; no more than its head is read of one that is no picture."""
    with _opened(path) as file:
        head = file.read(HEAD)
        if not head:
            raise _Refusal("the file is empty")
        kind = next((kind for kind, magic in FORMATS.items() if magic.match(head)), "")
        if not kind:
            raise _Refusal(_what_else(head))
        return kind, head + file.read()


def _opened(path: str) -> BinaryIO:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise _Refusal("this is a folder, not a picture")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise _Refusal("this is a device or socket, not a file")
    return open(path, "rb")


def _what_else(head: bytes) -> str:
    for what, magic in STRANGERS.items():
        if magic.match(head):
            return f"this is {what}"
    return f"this is no picture of a known format ({', '.join(FORMATS)}); it begins with {head[:12]!r}"


def _reason(path: str, error: OSError) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return f"it is a broken link to {printable(os.readlink(path))}"
    return error.strerror or str(error)


def _jpeg_is_whole(data: bytes) -> bool:
    """Tell whether a JPEG reaches its end marker.

    OpenCV 4 fills what is missing with grey and says nothing. The end marker of an embedded thumbnail, and
    whatever cameras append after the picture, must not mislead: so segments are skipped by their lengths.
    """
    at = 2
    while found := _NEXT_MARKER.search(data, at):
        marker, at = data[found.end() - 1], found.end()
        if marker == _END_OF_IMAGE:
            return True
        at += int.from_bytes(data[at : at + 2], "big")
    return False


def _png_is_whole(data: bytes) -> bool:
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IEND":
            return end <= len(data)
        at = end
    return False


def _decoded(kind: str, data: bytes, quiet: bool) -> Frame:
    try:
        with _standard_error_muted() if quiet else nullcontext():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        too_large = "MAX_IMAGE" in str(error)
        reason = "has more pixels than OpenCV accepts" if too_large else "is damaged and cannot be decoded"
        raise _Refusal(f"this {kind} picture {reason}") from error
    if pixels is None:
        raise _Refusal(_why_undecoded(kind))
    return Frame(np.asarray(pixels, np.uint8))


def _why_undecoded(kind: str) -> str:
    version = tuple(int(part) for part in re.findall(r"\d+", cv2.__version__)[:2])
    if (kind == "GIF" and version < (4, 11)) or (kind == "AVIF" and version < (4, 12)):
        return f"OpenCV {cv2.__version__} does not read {kind}; convert it to PNG or install a newer OpenCV"
    return (
        f"this {kind} picture is damaged, cut short or of a kind that OpenCV {cv2.__version__} does not read"
    )


@contextmanager
def _standard_error_muted() -> Iterator[None]:
    """Send the process's standard error nowhere: libpng and libjpeg write there past every setting."""
    try:
        kept = os.dup(2)
    except OSError:  # a daemon without standard error has nothing to mute
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
