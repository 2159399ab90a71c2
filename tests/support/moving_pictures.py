"""Small real videos for tests of sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

__all__ = ["save_video"]


def save_video(path: Path, frames: int = 5) -> Path:
    """Write a video of 64x48 pixels at 10 frames a second that grows brighter; skips without PyAV."""
    av = pytest.importorskip("av", reason="needs the extra 'video'")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(frames):
            pixels = np.full((48, 64, 3), index * 40, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode())
    return path
