"""What is analysed: synthetic frames with a known number of faces, a picture, a folder or a video, all in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vultus.bench.record import Input
from vultus.errors import InputError, SourceError
from vultus.selftest.pictures import collage
from vultus.sources import find_pictures, read_picture
from vultus.sources.listing import printable
from vultus.types import Frame
from vultus.words import counted

__all__ = [
    "ROOM",
    "SYNTHETIC",
    "VIDEO_SUFFIXES",
    "Frames",
    "frames_from_source",
    "size_from_text",
    "synthetic",
]

SYNTHETIC = (640, 480)
ROOM = 512 * 2**20
"""Bytes of pixels that are held: frames are decoded ahead, so that reading files is no part of the latency."""

LARGEST = 16384
VIDEO_FRAMES = 300
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
TURNS, DARKER = 4, 4
"""Synthetic frames that take turns, and by how many grey levels each is darker: no cache holds a result twice."""


@dataclass(frozen=True)
class Frames:
    """Frames that take turns, and what a record says of them; see `vultus.bench.record.Input`."""

    frames: tuple[Frame, ...]
    kind: Literal["synthetic", "picture", "folder", "video"]
    name: str
    faces: int | None = None

    def described(self, found: int) -> Input:
        """Return what a record says; found: faces that the models find in all frames together."""
        largest = max(self.frames, key=lambda frame: frame.width * frame.height)
        formats = "+".join(sorted({frame.format for frame in self.frames}))
        count, digest = len(self.frames), _digest(self.frames)
        width, height = largest.width, largest.height
        return Input(self.kind, self.name, width, height, formats, count, digest, found, self.faces)


def synthetic(faces: int = 1, size: tuple[int, int] = SYNTHETIC) -> Frames:
    """Return four frames with so many copies of a portrait, each a little darker than the one before it.

    Raises InputError when so many faces do not fit into the size.
    """
    width, height = size
    if faces < 0:
        raise InputError(f"a frame holds 0 faces or more, not {faces}")
    plain = collage(width, height, faces)
    levels = (np.maximum(plain, step) - step for step in range(0, TURNS * DARKER, DARKER))
    frames = tuple(Frame(np.asarray(level, np.uint8), index=index) for index, level in enumerate(levels))
    return Frames(frames, "synthetic", counted(faces, "face"), faces)


def size_from_text(text: str) -> tuple[int, int]:
    """Return (width, height) of `640x480`; raises InputError for anything else."""
    width, _, height = text.lower().partition("x")
    if not (
        text.isascii() and all(side.isdecimal() and 0 < int(side) <= LARGEST for side in (width, height))
    ):
        raise InputError(f"a size is written WIDTHxHEIGHT, such as 1280x720, up to {LARGEST}; got {text!r}")
    return int(width), int(height)


def frames_from_source(source: str | os.PathLike[str]) -> Frames:
    """Read a picture, a folder of pictures or the beginning of a video.

    Raises SourceError, naming the file, for what cannot be read: a benchmark leaves nothing out in silence.
    """
    path = Path(source)
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        frames = tuple(_video_frames(path))
        return Frames(frames, "video", f"first {counted(len(frames), 'frame')} of {printable(path.name)}")
    if not path.exists():
        raise SourceError(
            f"{printable(path)}: there is no such file or folder; a benchmark takes a picture, a folder or a video"
        )
    frames = tuple(_bounded(_pictures(path), printable(path)))
    if path.is_dir():  # whose name may be its owner's
        return Frames(frames, "folder", f"folder of {counted(len(frames), 'picture')}")
    return Frames(frames, "picture", printable(path.name))


def _pictures(path: Path) -> Iterator[Frame]:
    for index, (_, found) in enumerate(find_pictures([path])):
        if isinstance(found, SourceError):
            raise found
        yield Frame(read_picture(found, quiet=True).pixels, index=index)


def _bounded(frames: Iterable[Frame], name: str) -> Iterator[Frame]:
    held = 0
    for frame in frames:
        held += frame.pixels.nbytes
        if held > ROOM:
            raise InputError(
                f"{name}: its pictures take more than {ROOM >> 20} MiB when decoded, and all are held in memory; "
                "name fewer or smaller ones"
            )
        yield frame


def _video_frames(path: Path) -> Iterator[Frame]:
    """Yield the first frames of a video as BGR, at most VIDEO_FRAMES or as many as there is room for."""
    name, av = printable(path), _pyav(path)
    held = count = 0
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                held += pixels.nbytes
                if count and (held > ROOM or count >= VIDEO_FRAMES):
                    return
                yield Frame(pixels, index=count, time=float(frame.time or 0.0))
                count += 1
    except (OSError, ValueError, IndexError) as error:  # PyAV's own errors are OSError and ValueError too
        raise SourceError(f"{name}: this video cannot be read: {error}") from error
    if not count:
        raise SourceError(f"{name}: this video holds no frames")


def _pyav(path: Path) -> Any:
    try:
        return import_module("av")
    except ImportError as error:
        raise SourceError(
            f"{printable(path)}: reading videos takes PyAV, which is not here ({error}); pip install 'vultus[video]'"
        ) from error


def _digest(frames: Sequence[Frame]) -> str:
    """Return the SHA-256 of formats, shapes and pixels in order."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(f"{frame.format} {frame.pixels.shape} {frame.colour}\n".encode())
        digest.update(np.ascontiguousarray(frame.pixels).data)
    return digest.hexdigest()
