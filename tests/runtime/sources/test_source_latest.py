"""The thread that keeps the newest frame: what is dropped, what is waited for, and what happens when a feed breaks."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest

from running_service import FACE, until
from vultus.errors import SourceError
from vultus.sources import latest
from vultus.sources.feed import PictureFeed, Taken, without_secrets
from vultus.sources.latest import LatestFrame
from vultus.types import Frame


def frame(value: int) -> Frame:
    return Frame(np.full((2, 2, 3), value, np.uint8))


class Script:
    """A feed that runs a function each time that it is opened."""

    name = "script"

    def __init__(self, opened: Callable[[int], Generator[Taken, None, None]], live: bool) -> None:
        self._opened, self.live, self.count, self.closed = opened, live, 0, 0
        self.interrupted = threading.Event()

    def frames(self) -> Generator[Taken, None, None]:
        self.count += 1
        try:
            yield from self._opened(self.count)
        finally:
            self.closed += 1

    def interrupt(self) -> None:
        self.interrupted.set()


def values(reader: LatestFrame, count: int) -> list[int]:
    """Take frames and return the value of their pixels."""
    found = []
    for _ in range(count):
        taken = reader.take(5.0)
        assert taken is not None, reader.why
        found.append(int(taken[1].pixels[0, 0, 0]))
    return found


def test_a_live_feed_keeps_the_newest_frame_and_counts_the_others() -> None:
    released, all_out = threading.Event(), threading.Event()

    def opened(_: int) -> Generator[Taken, None, None]:
        for value in range(5):
            yield "a", frame(value)
        all_out.set()
        released.wait(5)
        yield "a", frame(9)

    feed = Script(opened, live=True)
    reader = LatestFrame(feed, pause=0.01)
    reader.start()
    assert all_out.wait(5)
    taken = reader.take(5)
    assert taken is not None
    assert (taken[0], taken[1].index, taken[1].pixels[0, 0, 0]) == ("a", 4, 4)
    assert taken[1].time > 0
    assert reader.dropped == 4
    assert reader.take(0.01) is None
    released.set()
    assert values(reader, 1) == [9]
    reader.stop()
    assert feed.interrupted.is_set()
    assert feed.closed == feed.count


def test_another_feed_waits_and_loses_nothing_and_ends() -> None:
    feed = Script(lambda _: ((str(value), frame(value)) for value in range(4)), live=False)
    reader = LatestFrame(feed)
    reader.start()
    assert not reader.ended
    assert values(reader, 4) == [0, 1, 2, 3]
    assert reader.take(5) is None
    assert (reader.ended, reader.dropped, feed.count) == (True, 0, 1)
    reader.stop()


def test_a_loop_begins_again_and_counts_on() -> None:
    feed = Script(lambda _: ((str(value), frame(value)) for value in range(2)), live=False)
    reader = LatestFrame(feed, loop=True)
    reader.start()
    taken = [reader.take(5) for _ in range(5)]
    reader.stop()
    assert [found[1].index for found in taken if found] == [0, 1, 2, 3, 4]
    assert not reader.ended


def test_a_broken_feed_is_opened_again_after_growing_pauses_and_told_of_once() -> None:
    moments = []

    def opened(count: int) -> Generator[Taken, None, None]:
        moments.append(time.monotonic())
        if count < 4:
            raise SourceError("camera: no such device")
        yield "a", frame(7)
        raise ValueError("a driver's own error")

    said: list[str] = []
    reader = LatestFrame(Script(opened, live=True), pause=0.04, say=said.append)
    reader.start()
    assert values(reader, 1) == [7]
    until(lambda: reader.why == "script: ValueError: a driver's own error", "the second failure")
    assert reader.state == "broken"
    reader.stop()
    pauses = [later - before for before, later in itertools.pairwise(moments[:4])]
    assert all(pause >= least for pause, least in zip(pauses, (0.04, 0.08, 0.16), strict=True))
    assert said == [
        "camera: no such device; it is opened again and again",
        "script: frames come again",
        "script: ValueError: a driver's own error; it is opened again and again",
    ]


def test_the_end_of_a_live_feed_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "STEADY", 0.0)  # so that the pause does not grow
    feed = Script(lambda count: iter([("a", frame(count))]), live=True)  # type: ignore[arg-type,return-value]
    reader = LatestFrame(feed, pause=0.01)
    reader.start()
    found = values(reader, 3)  # frames of three openings; on a busy machine some between them are dropped
    assert found == sorted(set(found))
    assert not reader.ended
    until(lambda: reader.why == "script: the stream ended", "the end")
    reader.stop()


@pytest.mark.parametrize("live", [True, False])
def test_a_rate_is_kept(live: bool) -> None:
    def opened(_: int) -> Generator[Taken, None, None]:
        for value in itertools.count():
            time.sleep(0.002)
            yield "a", frame(value % 256)

    reader = LatestFrame(Script(opened, live), rate=50.0)
    reader.start()
    began = time.monotonic()
    found = values(reader, 6)
    seconds = time.monotonic() - began
    reader.stop()
    assert seconds >= 4 / 50
    assert (found == [0, 1, 2, 3, 4, 5]) is not live
    assert reader.dropped == 0  # what a rate leaves out was not wanted


def test_stop_ends_a_reader_that_waits_for_its_frame_to_be_taken() -> None:
    feed = Script(lambda _: ((str(value), frame(value)) for value in range(9)), live=False)
    reader = LatestFrame(feed)
    reader.start()
    assert values(reader, 1) == [0]
    began = time.monotonic()
    reader.stop()
    assert time.monotonic() - began < 1
    assert feed.closed == 1


# Pictures


def test_a_bad_picture_is_told_of_once_and_the_others_come(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(FACE.read_bytes())
    (tmp_path / "b.png").write_bytes(b"no picture")
    said: list[str] = []
    reader = LatestFrame(PictureFeed(tmp_path), loop=True, say=said.append)
    reader.start()
    taken = [reader.take(5) for _ in range(3)]
    reader.stop()
    assert [found[0] for found in taken if found] == [str(tmp_path / "a.png")] * 3
    assert len(said) == 1
    assert said[0].startswith(f"{tmp_path / 'b.png'}: this is no picture of a known format")


def test_a_folder_without_pictures_is_looked_at_again(tmp_path: Path) -> None:
    reader = LatestFrame(PictureFeed(tmp_path), loop=True, pause=0.02)
    reader.start()
    until(lambda: "no pictures in this folder" in reader.why, "the failure")
    assert reader.state == "broken"
    (tmp_path / "a.png").write_bytes(FACE.read_bytes())
    taken = reader.take(5)
    reader.stop()
    assert taken is not None
    assert taken[1].width == taken[1].height > 0


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:secret@camera:554/a", "rtsp://camera:554/a"),
        ("rtsp://me:se@cret@camera/a@b", "rtsp://camera/a@b"),
        ("rtsp://camera/a@b", "rtsp://camera/a@b"),
        ("rtspsrc location=rtsp://me:se/cret@camera/x", "rtspsrc location=rtsp://me:se/cret@camera/x"),
        ("/data/a.mp4", "/data/a.mp4"),
        ("open 'rtsp://me@x' failed", "open 'rtsp://x' failed"),
    ],
)
def test_passwords_stay_out_of_names(address: str, shown: str) -> None:
    assert without_secrets(address) == shown
