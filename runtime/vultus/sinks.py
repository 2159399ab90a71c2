"""Sinks: where results go. Each is a context manager with `write`, and leaves nothing half-written behind."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from vultus.errors import SinkError, VultusError
from vultus.types import Frame, Result

__all__ = ["DrawSink", "JsonLinesSink", "Sink"]

JPEG_QUALITY = 92
JPEG_SIDE = 65500  # the format's limit
LONGEST_NAME = 200  # bytes, leaves room for what is appended


class Sink(Protocol):
    """Something that takes results in order. Leaving it without an error completes what it wrote."""

    def __enter__(self) -> Sink:
        """Open the sink."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the output, or take it back when an error passes through."""

    def write(self, source: str, result: Result, frame: Frame) -> None:
        """Take the result of one frame; `source` names where the frame came from."""


class JsonLinesSink:
    """Writes one JSON line a frame, as `vultus.schema` describes it.

    target: a file, which appears complete or not at all; `-` for standard output; or an existing pipe or
    device. Lines are flushed one by one.
    Raises SinkError when it cannot be written; BrokenPipeError passes, for the reader of the pipe has left.
    """

    def __init__(self, target: str | Path) -> None:
        self.target = os.fspath(target)
        self._file: BinaryIO | None = None
        self._stack = ExitStack()

    def __enter__(self) -> JsonLinesSink:
        """Open the target, or a file beside it that will replace it."""
        with _failures_of(self.target):
            self._file = self._stack.enter_context(self._opened())
        return self

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        if self.target == "-":
            return nullcontext(sys.stdout.buffer)
        if os.path.exists(self.target) and not os.path.isfile(self.target):
            return open(self.target, "wb")
        return _whole_file(self.target)

    def write(self, source: str, result: Result, frame: Frame) -> None:
        """Append the line of one frame."""
        from vultus.schema import line_from_result

        if self._file is None:
            raise SinkError(f"{self.target}: this sink is not open; use it in a with statement")
        line = line_from_result(source, result, frame)
        with _failures_of(self.target):
            self._file.write(line)
            self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the complete file in its place, or remove it when an error passes through."""
        self._file = None
        with _failures_of(self.target):
            self._stack.__exit__(kind, error, trace)


class DrawSink:
    """Writes every frame with its faces drawn on it as NAME.faces.jpg into a folder, made when absent.

    A second picture of the same name gets NAME-2.faces.jpg, and so on. Pictures too long for JPEG become PNG.
    Raises SinkError when a picture cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._used: set[str] = set()

    def __enter__(self) -> DrawSink:
        """Make the folder."""
        with _failures_of(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: every picture is complete as it is written."""

    def write(self, source: str, result: Result, frame: Frame) -> None:
        """Draw the faces of one frame."""
        import cv2

        from vultus.draw import draw_faces
        from vultus.preprocess import bgr_from_frame

        suffix = ".png" if max(frame.width, frame.height) > JPEG_SIDE else ".jpg"
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
        path = self.folder / f"{self._name(source)}.faces{suffix}"
        done, data = cv2.imencode(suffix, draw_faces(bgr_from_frame(frame), result.faces), options)
        if not done:
            raise SinkError(f"{path}: OpenCV cannot encode this picture")
        with _failures_of(path), _whole_file(path) as file:
            file.write(data.tobytes())

    def _name(self, source: str) -> str:
        """Return a name after the source's that this sink has not used; case alone makes no new name."""
        stem = Path(source).stem.encode()[:LONGEST_NAME].decode("utf-8", "ignore") or "frame"
        name, count = stem, 1
        while name.casefold() in self._used:
            count += 1
            name = f"{stem}-{count}"
        self._used.add(name.casefold())
        return name


@contextmanager
def _whole_file(target: str | Path) -> Iterator[BinaryIO]:
    """Open a hidden file beside `target` that takes its place at a clean end and vanishes at any other."""
    path = os.path.realpath(target)
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name[:50]}.{secrets.token_hex(6)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


@contextmanager
def _failures_of(target: str | Path) -> Iterator[None]:
    """Turn the system's refusal to write into a SinkError that names the target."""
    try:
        yield
    except (BrokenPipeError, VultusError):
        raise
    except OSError as error:
        folder = os.path.dirname(os.fspath(target)) or "."
        if isinstance(error, FileNotFoundError) and not os.path.isdir(folder):
            reason = f"the folder {folder} does not exist; make it first"
        else:
            reason = error.strerror or str(error)
        raise SinkError(f"{target}: cannot be written: {reason}") from error
