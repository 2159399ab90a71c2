"""The table [source] -> the feed that it means."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vultus.service.config import Source
from vultus.sources.feed import Feed, PictureFeed
from vultus.sources.latest import LatestFrame
from vultus.sources.listing import PICTURE_SUFFIXES

__all__ = ["feed_from_source", "reader_from_source"]


def feed_from_source(source: Source, patience: float) -> Feed:
    """Return the feed, which opens nothing yet. patience: seconds without a frame before a stream is given up."""
    if source.gstreamer is not None and source.pixels is not None:
        from vultus.sources.gstreamer import GstreamerFeed

        return GstreamerFeed(source.gstreamer, source.pixels, source.colour, patience)
    if source.url is None and source.path is not None and _is_camera(source.path):
        from vultus.sources.camera import CameraFeed

        return CameraFeed(source.path, source.pixels, source.rate)
    address = source.url or source.path or ""
    if source.url is None and _means_pictures(address):
        return PictureFeed(address)
    from vultus.sources.video import VideoFeed

    return VideoFeed(address, patience)


def reader_from_source(source: Source, patience: float, say: Callable[[str], None]) -> LatestFrame:
    """Return the thread that keeps the newest frame of a source, not begun."""
    return LatestFrame(feed_from_source(source, patience), source.rate, source.loop, say=say)


def _is_camera(path: str) -> bool:
    return any(name.startswith(("/dev/video", "/dev/v4l/")) for name in (path, os.path.realpath(path)))


def _means_pictures(path: str) -> bool:
    """Tell pictures from a video, before either is there."""
    suffix = Path(path).suffix.lower()
    return os.path.isdir(path) or not suffix or suffix in PICTURE_SUFFIXES or any(c in path for c in "*?[")
