"""Which pictures a gate takes out of a folder, and what it says when there are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from picture_sets import write_all, write_set
from vultus.errors import InputError, SourceError, VultusError
from vultus_export.gates.sources import sources_in
from vultus_export.metrics.rows import LEAST, SHARE

FACE = np.full((8, 8, 3), 90, np.uint8)


def test_rows_of_the_split_are_taken(tmp_path: Path) -> None:
    splits = ("train", "val", "test", "val")
    write_set(tmp_path, "fer2013", [(FACE, {"split": split, "expression": "sad"}) for split in splits])
    for split, count in (("val", 2), ("test", 1), ("train", 1)):
        source = sources_in(tmp_path, split)[0]
        assert (source.name, len(source.rows), source.chosen) == ("fer2013", count, split)
        assert source.labels == ("expression",)
    assert source.picture(source.rows[0]).shape == (8, 8, 3)


def test_a_set_without_val_lends_a_fixed_part_of_train(tmp_path: Path) -> None:
    count = LEAST * SHARE + 500
    write_set(tmp_path, "mtfl", [(FACE, {"smile": 1})] * count, split="train")
    source = sources_in(tmp_path, "val")[0]
    assert (len(source.rows), source.chosen) == (count // SHARE, "a fixed part of train")
    files = [row["file"] for row in source.rows]
    assert files == sorted(files)
    assert len(set(files)) == count // SHARE
    assert sources_in(tmp_path, "val")[0].rows == source.rows
    fewer = [row["file"] for row in sources_in(tmp_path, "val", most=50)[0].rows]
    assert len(fewer) == 50
    assert set(fewer) <= set(files)
    with pytest.raises(InputError, match="has the sets mtfl, and none has rows of split test"):
        sources_in(tmp_path, "test")


def test_a_small_set_without_val_is_taken_whole(tmp_path: Path) -> None:
    write_set(tmp_path, "mtfl", [(FACE, {"smile": 1})] * 7, split="train")
    assert len(sources_in(tmp_path, "val")[0].rows) == 7


def test_scenes_are_used_whole_for_test(tmp_path: Path) -> None:
    write_all(tmp_path)
    found = {source.name: source for source in sources_in(tmp_path, "test")}
    assert len(found["scenes"].rows) == 2
    assert set(found) == {
        "celeba", "crowds", "fer2013", "landmarks68", "mebeauty", "mtfl", "scenes", "utkface",
    }  # fmt: skip


def test_a_plain_folder_is_taken_with_its_sub_folders(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.png", "a.jpg", "deep/c.webp"):
        assert cv2.imwrite(str(tmp_path / name), FACE)
    (tmp_path / "notes.txt").write_text("no picture")
    source = sources_in(tmp_path)[0]
    assert (source.name, source.chosen, source.labels) == ("pictures", "all pictures", ())
    assert sorted(row["file"] for row in source.rows) == ["a.jpg", "b.png", "deep/c.webp"]
    assert all(source.picture(row).shape == (8, 8, 3) for row in source.rows)
    assert len(sources_in(tmp_path, most=2)[0].rows) == 2


def nothing(folder: Path) -> None:
    pass


def table_alone(folder: Path) -> None:
    write_all(folder)
    for path in folder.glob("*.tar"):
        path.unlink()


def no_split(folder: Path) -> None:
    write_set(folder, "mine", [(FACE, {"age": 3})])
    table = folder / "mine.csv"
    table.write_text(table.read_text().replace("split", "part"))


def lost_picture(folder: Path) -> None:
    write_set(folder, "mine", [(FACE, {"age": 3})])
    table = folder / "mine.csv"
    table.write_text(table.read_text().replace("00000.png", "00009.png"))


def damaged_tar(folder: Path) -> None:
    write_set(folder, "mine", [(FACE, {"age": 3})])
    (folder / "mine.tar").write_bytes(b"no archive" * 100)


FAULTS: list[tuple[Callable[[Path], None], type[VultusError], str]] = [
    (nothing, SourceError, "holds neither labelled sets (NAME.tar with NAME.csv) nor pictures"),
    (table_alone, SourceError, "holds neither labelled sets"),
    (
        no_split,
        InputError,
        "mine.csv has no column split; a set has file, split, width, height and its labels",
    ),
    (lost_picture, InputError, "has no picture '00009.png', which mine.csv names"),
    (damaged_tar, SourceError, "set 'mine' of"),
]


@pytest.mark.parametrize(("fault", "kind", "message"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_faults_are_named(
    fault: Callable[[Path], None], kind: type[VultusError], message: str, tmp_path: Path
) -> None:
    fault(tmp_path)
    with pytest.raises(kind) as caught:
        sources_in(tmp_path)
    assert message in str(caught.value)


def test_a_missing_folder_and_an_unknown_split_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"there is no folder .*none; name one with labelled sets or pictures"
    ):
        sources_in(tmp_path / "none")
    with pytest.raises(InputError, match="split 'dev' is unknown; expected one of val, test, train"):
        sources_in(tmp_path, "dev")


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    write_set(tmp_path, "mine", [(FACE, {"age": 3})])
    tar = tmp_path / "mine.tar"
    tar.write_bytes(tar.read_bytes().replace(b"PNG", b"XXX"))
    source = sources_in(tmp_path, "test")[0]
    with pytest.raises(SourceError, match=r"mine.tar holds 00000.png, which OpenCV cannot decode"):
        source.picture(source.rows[0])
