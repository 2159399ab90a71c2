"""Videos, streams, cameras and pipelines as feeds: PyAV and, where it is installed, GStreamer really run."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from moving_pictures import save_video
from running_service import until
from vultus.errors import SourceError
from vultus.service.config import Source
from vultus.service.feeds import feed_from_source
from vultus.sources.camera import CameraFeed
from vultus.sources.feed import Feed, PictureFeed
from vultus.sources.gstreamer import GstreamerFeed, command_from_pipeline
from vultus.sources.video import VideoFeed
from vultus.types import Frame


def taken(feed: Feed, count: int = 1000) -> list[Frame]:
    """Return the first frames of a feed."""
    found = []
    with closing(feed.frames()) as frames:
        for _, (name, frame) in zip(range(count), frames, strict=False):
            assert isinstance(frame, Frame)
            assert name == feed.name
            found.append(frame)
    return found


def test_a_video_file(tmp_path: Path) -> None:
    feed = VideoFeed(str(save_video(tmp_path / "a.mp4")))
    frames = taken(feed)
    assert not feed.live
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert [float(frame.pixels.mean()) for frame in frames] == pytest.approx([0, 40, 80, 120, 160], abs=6)
    assert len(taken(feed)) == 5  # again from its beginning


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve a folder over HTTP and yield its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_a_stream_of_the_network(tmp_path: Path, server: str) -> None:
    save_video(tmp_path / "a.ts")
    feed = VideoFeed(f"http://me:secret@{server}/a.ts")
    assert feed.live
    assert feed.name == f"http://{server}/a.ts"
    assert 1 <= len(taken(feed)) <= 5  # without a queue the first may be missed


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("{folder}/none.mp4", "{folder}/none.mp4: the video cannot be read: No such file or directory"),
        ("{folder}/text.mp4", "{folder}/text.mp4: the video cannot be read: Invalid data found"),
        (
            "rtsp://me:secret@127.0.0.1:9/x",
            "rtsp://127.0.0.1:9/x: the stream cannot be read: Connection refused; look",
        ),
    ],
)
def test_what_cannot_be_read_says_why(address: str, said: str, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs the extra 'video'")
    (tmp_path / "text.mp4").write_text("no video" * 99)
    with pytest.raises(SourceError) as caught:
        taken(VideoFeed(address.format(folder=tmp_path), patience=5))
    assert str(caught.value).startswith(said.format(folder=tmp_path))
    assert "secret" not in str(caught.value)


def test_without_pyav_a_video_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        SourceError, match=r"a\.mp4: videos and streams take PyAV.*pip install 'vultus\[video\]'"
    ):
        taken(VideoFeed("a.mp4"))


def test_a_camera_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="/dev/video97: there is no such device; plug the camera in"):
        taken(CameraFeed("/dev/video97"))
    file = tmp_path / "video0"
    file.touch()
    with pytest.raises(
        SourceError, match="video0: is no camera that OpenCV can read, or another program uses it"
    ):
        taken(CameraFeed(str(file), (640, 480), 10))


@pytest.mark.parametrize(
    ("source", "kind", "live"),
    [
        (Source(path="/dev/video0", size="640x480"), CameraFeed, True),
        (Source(path="/dev/v4l/by-id/usb-x"), CameraFeed, True),
        (Source(path="/data"), PictureFeed, False),
        (Source(path="/data/*.x"), PictureFeed, False),
        (Source(path="/data/a.PNG"), PictureFeed, False),
        (Source(path="/data/a.mp4"), VideoFeed, False),
        (Source(url="rtsp://camera/1"), VideoFeed, True),
        (Source(gstreamer="videotestsrc", size="64x48"), GstreamerFeed, True),
    ],
)
def test_the_table_source_means_a_feed(source: Source, kind: type[Feed], live: bool) -> None:
    feed = feed_from_source(source, 10.0)
    assert type(feed) is kind
    assert feed.live is live


# GStreamer: the real one where it is installed

real = pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="needs gst-launch-1.0")


@real
@pytest.mark.parametrize("size", [(64, 48), (66, 50)])
def test_a_real_pipeline(size: tuple[int, int]) -> None:
    frames = taken(GstreamerFeed("videotestsrc pattern=blue num-buffers=9", size), 2)
    assert [(frame.format, frame.width, frame.height) for frame in frames] == [("NV12", *size)] * 2
    from vultus.preprocess import bgr_from_frame

    np.testing.assert_allclose(
        bgr_from_frame(frames[0]), np.broadcast_to([255, 0, 0], (*size[::-1], 3)), atol=3
    )


@real
@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("nosuchsource", '1): .*no element "nosuchsource"'),
        ("videotestsrc num-buffers=2", "0)"),
        ("videotestsrc ! video/x-raw,width=99", "1): .*can't handle caps"),
    ],
)
def test_a_real_pipeline_that_fails_says_what_gstreamer_said(pipeline: str, said: str) -> None:
    name = pipeline.split()[0]
    told = f"{name}: the pipeline ended (gst-launch-1.0 ended with {said}".replace("(", r"\(").replace(
        ")", r"\)"
    )
    with pytest.raises(SourceError, match=told):
        taken(GstreamerFeed(pipeline, (64, 48)))


# and a script in its place, for what no plugin does on demand: NOT GStreamer

SCRIPT = """#!{python}
import os, sys, time
handle = int(next(word for word in sys.argv if word.startswith("fd="))[3:])
open({pid!r}, "w").write(str(os.getpid()))
print("remarks of a camera's library", flush=True)
{body}
"""


def in_its_place(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a script named gst-launch-1.0 ahead on PATH; return the file where it writes its process id."""
    script, pid = folder / "gst-launch-1.0", folder / "pid"
    script.write_text(SCRIPT.format(python=sys.executable, pid=str(pid), body=textwrap.dedent(body)))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return pid


def there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_frames_come_apart_from_remarks_and_the_child_ends_with_the_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = in_its_place(tmp_path, "while True: os.write(handle, bytes(24))", monkeypatch)
    frames = taken(GstreamerFeed("camera ! more", (4, 4)), 3)
    assert [frame.pixels.shape for frame in frames] == [(6, 4)] * 3
    assert not there(int(pid.read_text()))


def test_a_pipeline_that_says_nothing_more_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = in_its_place(tmp_path, "os.write(handle, bytes(30)); time.sleep(99)", monkeypatch)
    feed = GstreamerFeed("camera", (4, 4), patience=0.3)
    with closing(feed.frames()) as frames:
        next(frames)
        with pytest.raises(
            SourceError, match=r"camera: the pipeline gave no frame for 0.3 s: remarks of a camera"
        ):
            next(frames)
    assert not there(int(pid.read_text()))


def test_it_is_killed_when_it_will_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vultus.sources import gstreamer

    monkeypatch.setattr(gstreamer, "GRACE", 0.2)
    body = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nos.write(handle, bytes(24)); time.sleep(99)"
    pid = in_its_place(tmp_path, body, monkeypatch)
    began = time.monotonic()
    assert len(taken(GstreamerFeed("camera", (4, 4)), 1)) == 1
    assert time.monotonic() - began < 5
    assert not there(int(pid.read_text()))


def test_the_child_dies_with_a_service_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = in_its_place(tmp_path, "os.write(handle, bytes(24)); time.sleep(99)", monkeypatch)
    code = """
    from vultus.sources.gstreamer import GstreamerFeed
    from vultus.sources.latest import LatestFrame
    reader = LatestFrame(GstreamerFeed("camera", (4, 4)))
    reader.start()
    print(reader.take(9) is not None, flush=True)
    reader.take(99)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        child = int(pid.read_text())
        assert there(child)
        process.kill()
    until(lambda: not there(child), "the end of the child", 5)


def test_without_gstreamer_a_pipeline_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SourceError, match=r"gst-launch-1.0 is not installed; apt install gstreamer1.0-tools"):
        taken(GstreamerFeed("camera", (4, 4)))


def test_a_pipeline_is_written_as_for_a_shell() -> None:
    command = command_from_pipeline("a ! 'video/x-raw(memory:NVMM),width=8' !\n b c=\"d e\"", (8, 4), 7)
    assert command[:9] == [
        "gst-launch-1.0",
        "-q",
        "a",
        "!",
        "video/x-raw(memory:NVMM),width=8",
        "!",
        "b",
        "c=d e",
        "!",
    ]
    assert command[9:] == [
        "capsfilter", "caps=video/x-raw,format=NV12,width=8,height=4", "!", "fdsink", "fd=7", "sync=false",
    ]  # fmt: skip
