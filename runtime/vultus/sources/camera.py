"""Cameras of Video4Linux, by OpenCV."""

from __future__ import annotations

import os
from collections.abc import Generator

import cv2
import numpy as np

from vultus.errors import SourceError
from vultus.sources.feed import Taken
from vultus.types import Frame

__all__ = ["CameraFeed"]


class CameraFeed:
    """A camera such as /dev/video0. size, rate: what the camera is asked for; it may give another."""

    live = True

    def __init__(self, path: str, size: tuple[int, int] | None = None, rate: float | None = None) -> None:
        self.name = path
        self._size, self._rate = size, rate
        self._stopped = False

    def frames(self) -> Generator[Taken, None, None]:
        """Yield its frames as BGR."""
        self._stopped = False
        capture = self._opened()
        try:
            index = 0
            while not self._stopped:
                done, pixels = capture.read()
                if not done:
                    raise SourceError(f"{self.name}: the camera gives no frame any more; look at its cable")
                yield self.name, Frame(np.asarray(pixels, np.uint8), index=index)
                index += 1
        finally:
            capture.release()

    def interrupt(self) -> None:
        """End at the next frame; OpenCV waits 10 s for one."""
        self._stopped = True

    def _opened(self) -> cv2.VideoCapture:
        if not os.path.exists(self.name):
            raise SourceError(
                f"{self.name}: there is no such device; plug the camera in, `ls /dev/video*` shows it"
            )
        if not os.access(self.name, os.R_OK | os.W_OK):
            raise SourceError(f"{self.name}: may not be opened; add the service's user to the group video")
        capture = cv2.VideoCapture(self.name, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise SourceError(
                f"{self.name}: is no camera that OpenCV can read, or another program uses it; "
                "cameras of a Jetson's own connector take a pipeline of GStreamer"
            )
        if self._size:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        if self._rate:
            capture.set(cv2.CAP_PROP_FPS, self._rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return capture
