"""Pictures from files, folders, globs and lists of names, the bad ones above all."""

from __future__ import annotations

import base64
import os
import socket
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vultus.errors import SourceError
from vultus.sources import PICTURE_SUFFIXES, find_pictures, open_sources, read_picture
from vultus.sources.listing import printable
from vultus.types import Frame

OPENCV = tuple(int(part) for part in cv2.__version__.split(".")[:2])
RED_THEN_BLUE = base64.b64decode(  # an animation of two 3x2 pictures
    "R0lGODlhAwACAIEAAP8AAAAAAAAAAAAAACH5BAAKAAAALAAAAAADAAIAAAgGAAEIHBgQACH5BAEKAAEALAAAAAADAAIAgQAA/wAAAAAAAAAA"
    "AAgGAAEIHBgQADs="
)


def picture(width: int = 64, height: int = 48) -> Any:
    noise = np.random.default_rng(7).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(suffix: str, pixels: Any = None) -> bytes:
    done, data = cv2.imencode(suffix, picture() if pixels is None else pixels)
    assert done
    return bytes(data.tobytes())


def jpeg_with(segment: bytes) -> bytes:
    """Return a JPEG with one application segment after its start."""
    data = encoded(".jpg")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def exif(orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + b"\0\0\0\0"


def png(width: int, height: int, colour: int, rows: bytes, extra: bytes = b"", depth: int = 8) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", head), extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read(tmp_path: Path, data: bytes, name: str = "in.bin") -> Frame:
    path = tmp_path / name
    path.write_bytes(data)
    return read_picture(path)


# What can be read


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".ppm", ".jp2"])
def test_formats_are_read_whatever_the_name_says(tmp_path: Path, suffix: str) -> None:
    frame = read(tmp_path, encoded(suffix), "no_suffix")
    assert (frame.format, frame.width, frame.height, frame.index) == ("BGR", 64, 48, 0)
    assert np.abs(frame.pixels.astype(int) - picture()).mean() < 12


@pytest.mark.parametrize(("width", "height"), [(1, 2), (2, 1), (1, 1), (20000, 10), (10, 20000), (63, 47)])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_odd_sizes(tmp_path: Path, width: int, height: int, suffix: str) -> None:
    frame = read(tmp_path, encoded(suffix, picture(width, height)))
    assert (frame.width, frame.height) == (width, height)


GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
RED_PALETTE = chunk(b"PLTE", bytes([0, 0, 255, 200, 10, 20])) + chunk(b"tRNS", bytes([255, 128]))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(png(1, 1, GREY, b"\0\x40"), (64, 64, 64), id="grey"),
        pytest.param(png(1, 1, GREY, b"\0\x80", depth=1), (255, 255, 255), id="one bit"),
        pytest.param(png(1, 1, RGBA, b"\0\xc8\x64\x32\x00"), (50, 100, 200), id="alpha 0 is dropped"),
        pytest.param(png(1, 1, GREY_ALPHA, b"\0\x40\x07"), (64, 64, 64), id="grey and alpha"),
        pytest.param(png(1, 1, PALETTE, b"\0\x01", RED_PALETTE), (20, 10, 200), id="palette with alpha"),
        pytest.param(png(1, 1, GREY, b"\0\x01\x2c", depth=16), (1, 1, 1), id="16 bit: 300 is 1"),
        pytest.param(png(1, 1, GREY, b"\0\xff\xff", depth=16), (255, 255, 255), id="16 bit: all is 255"),
        pytest.param(png(1, 1, RGB, b"\0\x80\0\x40\0\x20\xff", depth=16), (32, 64, 128), id="16 bit RGB"),
    ],
)
def test_every_kind_of_png_becomes_8_bit_bgr(tmp_path: Path, data: bytes, expected: Any) -> None:
    assert tuple(read(tmp_path, data).pixels[0, 0].tolist()) == expected


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda upright: upright),
        (3, lambda upright: np.rot90(upright, 2)),
        (6, lambda upright: np.rot90(upright, -1)),
        (8, lambda upright: np.rot90(upright, 1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turn: Callable[[Any], Any]) -> None:
    plain = read(tmp_path, encoded(".jpg"), "plain.jpg").pixels
    turned = read(tmp_path, jpeg_with(exif(orientation)), "turned.jpg").pixels
    np.testing.assert_array_equal(turned, turn(plain))


def test_of_an_animation_the_first_picture_is_taken(tmp_path: Path) -> None:
    if OPENCV < (4, 11):
        with pytest.raises(SourceError, match=r"in\.gif: OpenCV 4\.\S+ does not read GIF; convert it to PNG"):
            read(tmp_path, RED_THEN_BLUE, "in.gif")
        return
    frame = read(tmp_path, RED_THEN_BLUE, "in.gif")
    np.testing.assert_array_equal(frame.pixels, np.full((2, 3, 3), (0, 0, 255), np.uint8))


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    code = "import sys; from vultus.sources import read_picture; print(read_picture('/dev/stdin').width)"
    done = subprocess.run([sys.executable, "-c", code], input=encoded(".png"), capture_output=True)
    assert done.stdout.strip() == b"64", done.stderr


# What cannot be read

BOMB = png(60000, 60000, RGB, b"\0" * 100)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.jpg", b"", "the file is empty"),
        ("half.jpg", encoded(".jpg")[: len(encoded(".jpg")) // 2], "this JPEG picture is cut short; copy it again"),
        ("head.jpg", encoded(".jpg")[:30], "this JPEG picture is cut short"),
        ("no_end.jpg", encoded(".jpg")[:-2], "this JPEG picture is cut short"),
        ("half.png", encoded(".png")[: len(encoded(".png")) // 2], "this PNG picture is cut short"),
        ("no_end.png", encoded(".png")[:-4], "this PNG picture is cut short"),
        ("half.webp", encoded(".webp")[:200], "this WebP picture is damaged, cut short or of a kind"),
        ("half.bmp", encoded(".bmp")[:3000], "this BMP picture is damaged, cut short"),
        ("half.tiff", encoded(".tiff")[:3000], "this TIFF picture is damaged, cut short"),
        ("half.ppm", encoded(".ppm")[:3000], "this PNM picture is damaged, cut short"),
        ("text.jpg", b"these are the notes of a meeting\n", "no picture of a known format .* begins with b'these ar"),
        ("page.png", b"<html><body>404</body></html>", "no picture of a known format"),
        ("zeros.jpg", b"\0" * 1000, "no picture of a known format"),
        ("film.mp4", b"\0\0\0\x20ftypisom" + b"\0" * 40, "this is a video; vultus reads pictures"),
        ("film.avi", b"RIFF\0\0\0\0AVI LIST", "this is a video"),
        ("phone.heic", b"\0\0\0\x18ftypheic" + b"\0" * 40, "this is a HEIC picture; convert it to JPEG"),
        ("paper.pdf", b"%PDF-1.7\n", "this is a PDF document"),
        ("bomb.png", BOMB, "this PNG picture has more pixels than OpenCV accepts"),
    ],
)  # fmt: skip
def test_bad_content_is_one_line_that_names_the_file(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    with pytest.raises(SourceError, match=rf"^{tmp_path}/{name}: .*{reason}") as caught:
        read(tmp_path, data, name)
    assert "\n" not in str(caught.value)


def test_a_thumbnail_does_not_make_a_cut_jpeg_whole(tmp_path: Path) -> None:
    whole = jpeg_with(b"Exif\0\0" + encoded(".jpg", picture(16, 12)))
    assert read(tmp_path, whole).width == 64
    for keep in (0.5, 0.7, 0.9, 0.99):
        with pytest.raises(SourceError, match="cut short"):
            read(tmp_path, whole[: int(len(whole) * keep)])


def test_progressive_jpegs_and_appended_bytes_are_whole(tmp_path: Path) -> None:
    done, data = cv2.imencode(
        ".jpg", picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    )
    assert done
    progressive = data.tobytes()
    assert read(tmp_path, progressive + b"appended by a phone").width == 64
    with pytest.raises(SourceError, match="cut short"):
        read(tmp_path, progressive[: len(progressive) * 2 // 3])


def test_missing_files_and_broken_links(tmp_path: Path) -> None:
    link = tmp_path / "link.jpg"
    link.symlink_to("gone.jpg")
    with pytest.raises(SourceError, match=r"link\.jpg: cannot be read: it is a broken link to gone\.jpg"):
        read_picture(link)
    with pytest.raises(SourceError, match=r"nowhere\.jpg: cannot be read: No such file or directory"):
        read_picture(tmp_path / "nowhere.jpg")
    with pytest.raises(SourceError, match="this is a device or socket, not a file"):
        read_picture("/dev/zero")


def test_folders_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="this is a folder, not a picture"):
        read_picture(tmp_path)


def test_permission_denied_is_named() -> None:
    code = (
        "import os, sys, vultus.sources.pictures as p\n"
        "from vultus.errors import SourceError\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: p.frame_from_file(sys.argv[1], False)\n"
        "except SourceError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "locked.png"
        path.write_bytes(encoded(".png"))
        path.chmod(0)
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.stdout == f"{path}: cannot be read: Permission denied\n", done.stderr


NOISY = png(40, 40, RGB, b"\0" * 100)  # libpng itself complains of missing rows on standard error


@pytest.mark.parametrize(("quiet", "heard"), [(True, False), (False, True)])
def test_quiet_mutes_the_image_libraries_only(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], quiet: bool, heard: bool
) -> None:
    path = tmp_path / "noisy.png"
    path.write_bytes(NOISY)
    with pytest.raises(SourceError, match=r"noisy\.png: this PNG picture is damaged"):
        read_picture(path, quiet)
    os.write(2, b"still here\n")
    error = capfd.readouterr().err
    assert error.endswith("still here\n")
    assert ("libpng" in error) == heard


def test_quiet_works_without_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(".png"))
    code = (
        "import os, sys; from vultus.sources import read_picture; os.close(2); "
        "print(read_picture(sys.argv[1], quiet=True).width)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.stdout == "64\n"


# What a source stands for


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(".png"))
    return root


def found(*sources: str | Path, names: list[bytes] | None = None) -> list[str]:
    return [str(path) for _, path in find_pictures(sources, names)]


def test_folders_are_walked_in_order_of_name(tmp_path: Path) -> None:
    tree(tmp_path, "b.PNG", "a.jpg", "sub/z.webp", "c.jpeg", ".hidden.jpg", ".git/x.jpg", "notes.txt")
    expected = [str(tmp_path / name) for name in ("a.jpg", "b.PNG", "c.jpeg", "sub/z.webp")]
    assert found(tmp_path) == expected
    assert found(f"{tmp_path}/") == expected


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    tree(tmp_path, "one/a.jpg", "two/b.jpg")
    (tmp_path / "one" / "back").symlink_to(tmp_path)
    (tmp_path / "one" / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "three").symlink_to(tmp_path / "two")
    names = [Path(path).name for path in found(tmp_path)]
    assert sorted(names) == ["a.jpg", "b.jpg", "self.jpg"]


def test_broken_links_in_a_folder_are_not_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    results = dict(open_sources([tmp_path]))
    assert isinstance(results[str(tmp_path / "a.jpg")], Frame)
    assert "broken link" in str(results[str(tmp_path / "broken.jpg")])


def test_only_files_are_taken_from_a_folder(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.jpg"))
        assert found(tmp_path) == [str(tmp_path / "a.jpg")]


def test_globs(tmp_path: Path) -> None:
    tree(tmp_path, "a1.jpg", "a2.jpg", "b.jpg", "deep/er/a3.jpg", "odd[1].jpg")
    assert found(tmp_path / "a*.jpg") == [str(tmp_path / name) for name in ("a1.jpg", "a2.jpg")]
    assert found(tmp_path / "**" / "a*.jpg") == [
        str(tmp_path / name) for name in ("a1.jpg", "a2.jpg", "deep/er/a3.jpg")
    ]
    assert found(tmp_path / "d*") == [str(tmp_path / "deep/er/a3.jpg")]
    assert found(tmp_path / "odd[1].jpg") == [str(tmp_path / "odd[1].jpg")]


def test_names_from_standard_input_come_as_they_arrive(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg", "more/c.jpg")
    arrived: list[str] = []

    def lines() -> Any:
        for name in ("a.jpg\n", "\n", "b.jpg\r\n", "more\n"):
            arrived.append(name.strip())
            yield str(tmp_path / name).encode() if name.strip() else b"\n"

    names = find_pictures(["-"], lines())
    assert next(names)[1] == str(tmp_path / "a.jpg")
    assert arrived == ["a.jpg"]
    assert [path for _, path in names] == [str(tmp_path / "b.jpg"), str(tmp_path / "more/c.jpg")]


def test_names_may_end_with_nul(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a b.jpg", " c.jpg")]
    tree(tmp_path, "a b.jpg", " c.jpg")
    assert found("-", names=[b"".join(os.fsencode(path) + b"\0" for path in paths)]) == paths


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{}/missing.jpg", "no such file or folder"),
        ("{}/nothing", r"no pictures in this folder or below it \(looked for .avif .bmp"),
        ("{}/*.tga", "no file matches this pattern"),
        ("rtsp://camera/1", "streams and web addresses are not read; give a file, a folder or a glob"),
        ("-", "no file names came on standard input"),
    ],
)
def test_sources_that_stand_for_nothing(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "nothing" / "deeper").mkdir(parents=True)
    (tmp_path / "nothing" / "notes.txt").write_text("no picture")
    ((name, error),) = list(open_sources([source.format(tmp_path)], []))
    assert isinstance(error, SourceError)
    with pytest.raises(SourceError, match=reason):
        raise error
    assert str(error).startswith(f"{name}: ")


def test_one_bad_picture_stops_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "a.png", "c.png")
    (tmp_path / "b.png").write_bytes(b"")
    kinds = [type(frame) for _, frame in open_sources([tmp_path / "gone.png", tmp_path])]
    assert kinds == [SourceError, Frame, SourceError, Frame]


def test_pictures_are_read_only_when_asked_for(tmp_path: Path) -> None:
    tree(tmp_path, "a.png", "b.png")
    frames = open_sources([tmp_path / "a.png", tmp_path / "b.png"])
    next(frames)
    (tmp_path / "b.png").unlink()
    name, error = next(frames)
    assert isinstance(error, SourceError), name


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain.jpg", "plain.jpg"),
        ("Zo\u00eb.jpg".encode(), "Zo\u00eb.jpg"),
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (b"two\nlines.jpg", r"two\nlines.jpg"),
        (b"\x1b[31mred.jpg", r"\x1b[31mred.jpg"),
    ],
)
def test_names_are_printed_as_one_valid_line(tmp_path: Path, raw: bytes, shown: str) -> None:
    assert printable(os.fsdecode(raw)) == shown
    path = os.fsencode(tmp_path) + b"/" + raw
    with open(path, "wb") as file:
        file.write(encoded(".png"))
    results = list(open_sources([os.fsdecode(path)]))
    assert results[0][0] == f"{tmp_path}/{shown}"
    assert isinstance(results[0][1], Frame)


def test_suffixes_are_lower_case_and_sorted() -> None:
    assert list(PICTURE_SUFFIXES) == sorted({suffix.lower() for suffix in PICTURE_SUFFIXES})


def test_listing_loads_no_image_library() -> None:
    code = "import sys, vultus.sources; print([m for m in ('cv2', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
