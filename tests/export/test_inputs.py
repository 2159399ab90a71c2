"""What networks are compared on: noise in the right range, pictures as the runtime prepares them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import nets
from vultus.errors import SourceError
from vultus.preprocess import letterbox
from vultus_export.inputs import picture_files, picture_inputs, random_inputs, read_picture


def picture(path: Path, width: int = 40, height: int = 30) -> Path:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def test_noise_has_the_networks_range_and_every_batch() -> None:
    fixed = list(random_inputs(nets.FACE.input))
    assert [tensor.shape for tensor in fixed] == [(1, 3, 32, 32), (2, 3, 32, 32), (3, 3, 32, 32)]
    assert min(tensor.min() for tensor in fixed) == -1.0
    assert max(tensor.max() for tensor in fixed) == pytest.approx(127 / 128)
    free = [tensor.shape for tensor in random_inputs(nets.DETECTOR.input)]
    assert free == [(1, 3, 64, 96), (2, 3, 48, 32), (3, 3, 32, 80)]
    assert all(
        np.array_equal(one, two) for one, two in zip(fixed, random_inputs(nets.FACE.input), strict=True)
    )


def test_pictures_go_through_the_runtimes_letterbox(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    (tensor,) = picture_inputs(nets.DETECTOR.input, [file])
    assert np.array_equal(tensor, letterbox(read_picture(file), nets.DETECTOR.input)[0])


def test_folders_are_searched_whole_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.JPG", "a.png", "deep/c.webp"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    found = picture_files([tmp_path])
    assert [str(file.relative_to(tmp_path)) for file in found] == ["a.png", "b.JPG", "deep/c.webp"]
    assert picture_files([tmp_path / "a.png"]) == [tmp_path / "a.png"]
    assert picture_files([]) == []


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name in ("text.jpg", "empty.jpg"):
        with pytest.raises(SourceError, match=f"{name} is not a picture"):
            read_picture(tmp_path / name)
    with pytest.raises(SourceError, match=r"cannot read .*none\.jpg: No such file"):
        read_picture(tmp_path / "none.jpg")


def test_folders_without_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no picture; expected files named \.bmp"):
        picture_files([tmp_path])
    with pytest.raises(SourceError, match="there is no file or folder"):
        picture_files([tmp_path / "none"])
