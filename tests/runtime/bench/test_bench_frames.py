"""Frames to measure with: known, repeatable, and refused in words where they cannot be had."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import tiny
from vultus.bench import frames as module
from vultus.bench.frames import frames_from_source, size_from_text, synthetic
from vultus.errors import InputError, SourceError
from vultus.pipeline import Analyzer
from vultus.types import Frame


@pytest.mark.parametrize("faces", [0, 1, 8, 32])
def test_synthetic_frames_have_the_faces_that_they_say(faces: int) -> None:
    made = synthetic(faces, (1280, 720))
    assert [(frame.width, frame.height, frame.index) for frame in made.frames] == [
        (1280, 720, index) for index in range(4)
    ]
    with Analyzer("cpu", attributes=[], threads=1) as analyzer:
        found = [len(analyzer.detect(frame)) for frame in made.frames]
    assert found == [faces] * 4
    described = made.described(sum(found))
    assert (described.faces, described.found, described.frames) == (faces, 4 * faces, 4)
    if faces:
        pixels = {frame.pixels.tobytes() for frame in made.frames}
        assert len(pixels) == 4, "frames that take turns differ"


def test_the_hash_is_that_of_the_pixels() -> None:
    one, again, other = synthetic(1), synthetic(1), synthetic(2)
    assert one.described(0).sha256 == again.described(0).sha256 != other.described(0).sha256
    reversed_frames = module.Frames(one.frames[::-1], "synthetic", "1 face")
    assert reversed_frames.described(0).sha256 != one.described(0).sha256


@pytest.mark.parametrize(
    ("text", "size"), [("640x480", (640, 480)), ("1x2", (1, 2)), ("4096X2160", (4096, 2160))]
)
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert size_from_text(text) == size


@pytest.mark.parametrize(
    "text", ["", "640", "x", "640x", "-1x2", "0x5", "640x480x3", "6e2x4", "99999x2", "٣x٤"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a size is written WIDTHxHEIGHT, such as 1280x720"):
        size_from_text(text)


@pytest.mark.parametrize(("faces", "said"), [(-1, "0 faces or more, not -1"), (5000, "5000 faces of")])
def test_faces_that_do_not_fit_are_refused(faces: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        synthetic(faces)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, width in (("a.png", 320), ("sub/b.png", 640)):
        cv2.imwrite(str(folder / name), tiny.squares(width, 240, (32, 64)))
    return folder


def test_a_picture_and_a_folder(photos: Path) -> None:
    one, folder = frames_from_source(photos / "a.png"), frames_from_source(photos)
    assert (one.kind, one.name, len(one.frames), one.faces) == ("picture", "a.png", 1, None)
    assert (folder.kind, folder.name) == ("folder", "folder of 2 pictures")
    assert [frame.index for frame in folder.frames] == [0, 1]
    assert folder.described(2).width == 640
    np.testing.assert_array_equal(one.frames[0].pixels, folder.frames[0].pixels)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "none.jpg",
            r"none\.jpg: there is no such file or folder; a benchmark takes a picture, a folder or a video",
        ),
        ("none.mp4", r"none\.mp4: there is no such file or folder"),
        ("text.txt", r"text\.txt: this is no picture of a known format"),
        ("empty", "empty"),
        ("half", r"bad\.png"),
    ],
)
def test_what_cannot_be_read_ends_with_its_name(tmp_path: Path, photos: Path, name: str, said: str) -> None:
    (tmp_path / "text.txt").write_text("no picture at all")
    (tmp_path / "empty").mkdir()
    shutil.copytree(photos, tmp_path / "half")
    (tmp_path / "half" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SourceError, match=said):
        frames_from_source(tmp_path / name)


def test_more_pictures_than_there_is_room_for_are_refused(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM", 2**20 // 2)
    with pytest.raises(InputError, match=r"photos: its pictures take more than 0 MiB .* name fewer"):
        frames_from_source(photos)


# Video


def test_a_video_without_pyav_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(
        SourceError, match=r"clip\.mp4: reading videos takes PyAV.*pip install 'vultus\[video\]'"
    ):
        frames_from_source(clip)


def video(path: Path, count: int) -> Path:
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'vultus[video]'")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            pixels = np.full((48, 64, 3), 30 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode())
    return path


def test_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = video(tmp_path / "clip.mp4", 6)
    whole = frames_from_source(clip)
    assert (whole.kind, whole.name) == ("video", "first 6 frames of clip.mp4")
    for number, frame in enumerate(whole.frames):
        assert isinstance(frame, Frame)
        assert frame.index == number
        assert frame.time == pytest.approx(number / 25)
        assert abs(int(frame.pixels.mean()) - 30 * number) <= 12
    monkeypatch.setattr(module, "ROOM", 3 * 48 * 64 * 3)
    assert frames_from_source(clip).name == "first 3 frames of clip.mp4"


def test_a_damaged_video_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'vultus[video]'")
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + b"junk" * 50)
    with pytest.raises(SourceError, match=r"clip\.mp4: this video cannot be read"):
        frames_from_source(tmp_path / "clip.mp4")
