"""Video files and network streams, by PyAV (the extra `video`)."""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module
from typing import Any

import numpy as np

from vultus.errors import SourceError
from vultus.sources.feed import Taken, without_secrets
from vultus.types import Frame

__all__ = ["VideoFeed"]

LIVE_OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
"""TCP, since lost packets of UDP make grey pictures; no queue ahead of the decoder: only the newest frame counts."""


class VideoFeed:
    """A video file, or with an address such as rtsp:// a stream. patience: seconds without an answer of a stream."""

    def __init__(self, address: str, patience: float = 10.0) -> None:
        self._address, self._patience = address, patience
        self.live = "://" in address
        self.name = without_secrets(address)
        self._stopped = False

    def frames(self) -> Generator[Taken, None, None]:
        """Yield the frames of its first video stream as BGR, with their time in it."""
        av = _pyav(self.name)
        self._stopped = False
        options = {"options": LIVE_OPTIONS, "timeout": self._patience} if self.live else {}
        try:
            with av.open(self._address, **options) as container:
                if not container.streams.video:
                    raise SourceError(f"{self.name}: holds no video, only sound or other data")
                yield from self._decoded(container)
        except SourceError:
            raise
        except (OSError, ValueError) as error:  # PyAV's own errors are of these two kinds
            raise SourceError(f"{self.name}: {self._reason(error)}") from error

    def interrupt(self) -> None:
        """End at the next frame, or when the patience is over."""
        self._stopped = True

    def _decoded(self, container: Any) -> Generator[Taken, None, None]:
        container.streams.video[0].thread_type = "SLICE" if self.live else "AUTO"  # frame threads add delay
        for index, frame in enumerate(container.decode(video=0)):
            if self._stopped:
                return
            pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            yield self.name, Frame(pixels, index=index, time=float(frame.time or 0.0))

    def _reason(self, error: Exception) -> str:
        said = without_secrets(getattr(error, "strerror", None) or str(error))
        if self.live:
            return f"the stream cannot be read: {said}; look at the address, the camera and the network"
        return f"the video cannot be read: {said}"


def _pyav(name: str) -> Any:
    try:
        return import_module("av")
    except ImportError as error:
        raise SourceError(
            f"{name}: videos and streams take PyAV, which is not here ({error}); pip install 'vultus[video]', "
            "or give a pipeline of GStreamer"
        ) from error
