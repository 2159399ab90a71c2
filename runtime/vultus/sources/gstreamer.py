"""Pipelines of GStreamer: gst-launch-1.0 as a child process that hands raw NV12 frames over a pipe.

The system's program in the place of Python bindings: those are built for the system's Python alone, and a plugin
that crashes takes only the child with it.
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vultus.errors import SourceError
from vultus.sources.feed import Taken, without_secrets
from vultus.types import Frame, YuvColour

__all__ = ["GstreamerFeed", "command_from_pipeline"]

PROGRAM = "gst-launch-1.0"
CHILD = Path(__file__).with_name("child.py")
PIPE_BYTES = 1 << 20
SD_ROWS = 576  # GStreamer takes higher pictures for BT.709 where nothing else is said
KEPT_LINES = 8
LAST_WORDS = 0.5  # seconds for the child to say why and to end
GRACE = 3.0  # seconds for the pipeline to release its camera


class GstreamerFeed:
    """Frames of a pipeline, written as for gst-launch-1.0 but without its sink.

    size: width and height, even, that the pipeline must give. colour: how its NV12 becomes RGB; by default as
    GStreamer takes it for that size. patience: seconds without a frame after which the pipeline is started anew.
    """

    live = True

    def __init__(
        self, pipeline: str, size: tuple[int, int], colour: YuvColour | None = None, patience: float = 10.0
    ) -> None:
        self.name = without_secrets(shlex.split(pipeline)[0]) if pipeline.strip() else "gstreamer"
        self._pipeline, self._size, self._patience = pipeline, size, patience
        self._colour: YuvColour = colour or ("bt709" if size[1] > SD_ROWS else "bt601")
        self._process: subprocess.Popen[bytes] | None = None

    def frames(self) -> Generator[Taken, None, None]:
        """Start the pipeline and yield its frames as NV12."""
        reading, writing = os.pipe()
        with suppress(OSError):  # a smaller pipe is slower, no more
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            output = _Output(self._started(writing))
            os.close(writing)
            writing = -1
            yield from self._read(reading, output)
        finally:
            self._end()
            for handle in (reading, writing):
                if handle >= 0:
                    os.close(handle)

    def interrupt(self) -> None:
        """End the pipeline, so that reading ends."""
        if (process := self._process) and process.poll() is None:
            process.send_signal(signal.SIGINT)  # which gst-launch takes as a wish to release the camera

    def _started(self, writing: int) -> subprocess.Popen[bytes]:
        if not shutil.which(PROGRAM):
            raise SourceError(
                f"{self.name}: {PROGRAM} is not installed; apt install gstreamer1.0-tools gstreamer1.0-plugins-base"
            )
        command = command_from_pipeline(self._pipeline, self._size, writing)
        guarded = [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), *command]
        # Its standard output is no place for frames: NVIDIA's camera source writes remarks there.
        self._process = subprocess.Popen(
            guarded,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            start_new_session=True,
        )
        return self._process

    def _read(self, handle: int, output: _Output) -> Generator[Taken, None, None]:
        width, height = self._size
        stride = -(-width // 4) * 4  # rows of NV12 begin at multiples of four bytes
        index = 0
        while True:
            rows = np.empty((height * 3 // 2, stride), np.uint8)
            if why := self._fill(handle, rows):
                raise SourceError(f"{self.name}: {why}{output.said()}")
            pixels = np.ascontiguousarray(rows[:, :width])
            yield self.name, Frame(pixels, "NV12", index=index, colour=self._colour)
            index += 1

    def _fill(self, handle: int, rows: npt.NDArray[np.uint8]) -> str:
        """Read one frame; return why there is none."""
        view = rows.data.cast("B")
        until = time.monotonic() + self._patience
        while view:
            if not select.select([handle], [], [], max(0.0, until - time.monotonic()))[0]:
                return f"the pipeline gave no frame for {self._patience:g} s"
            count = os.readv(handle, [view])
            if not count:
                return "the pipeline ended"
            view = view[count:]
        return ""

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Output:
    """What the child writes for people: the last lines, read by a thread so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._thread = threading.Thread(target=self._drain, name="vultus-gstreamer", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                if text := line.decode("utf-8", "replace").strip():
                    self._lines.append(without_secrets(text))

    def said(self) -> str:
        """Return what the child said last and how it ended, to follow a clause."""
        self._thread.join(LAST_WORDS)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_WORDS)
        code = self._process.returncode
        ended = "" if code is None else f" ({PROGRAM} ended with {code})"
        told = "; ".join(self._lines)
        return f"{ended}: {told}" if told else ended


def command_from_pipeline(pipeline: str, size: tuple[int, int], handle: int) -> list[str]:
    """Return the command that runs a pipeline and writes its frames as NV12 to an open file."""
    width, height = size
    caps = f"video/x-raw,format=NV12,width={width},height={height}"
    return [
        PROGRAM,
        "-q",
        *shlex.split(pipeline),
        "!",
        "capsfilter",
        f"caps={caps}",
        "!",
        "fdsink",
        f"fd={handle}",
        "sync=false",
    ]
