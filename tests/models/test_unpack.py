"""A sample of sets as a folder of pictures: the same choice each time, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from picture_sets import write_set
from vultus_models.data.unpack import main, unpack


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, count in (("one", 9), ("two", 2)):
        pictures = [np.full((4, 6, 3), value, np.uint8) for value in range(count)]
        write_set(folder, name, [(picture, {}) for picture in pictures], split="train")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_same_seed_chooses_the_same_pictures(data: Path, tmp_path: Path) -> None:
    assert unpack(data, tmp_path / "a", ["one", "two"], "train", 4, 1) == 6
    unpack(data, tmp_path / "b", ["two", "one"], "train", 4, 1)
    unpack(data, tmp_path / "c", ["one", "two"], "train", 4, 2)
    assert names(tmp_path / "a") == names(tmp_path / "b") != names(tmp_path / "c")
    assert [name for name in names(tmp_path / "a") if name.startswith("two")] == [
        "two-00000.png",
        "two-00001.png",
    ]


def test_a_failure_leaves_nothing(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the set 'one' has no picture in the split 'val'"):
        unpack(data, tmp_path / "out", ["one"], "val", 4, 1)
    assert names(tmp_path) == ["data"]


def test_the_command_says_what_it_did_and_keeps_a_folder_that_is_there(data: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    arguments = [str(data), str(tmp_path / "out"), "--count", "3"]
    assert "5 pictures in" in CliRunner().invoke(app, arguments).output
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "is there already; name a new folder or remove it" in again.output
    assert CliRunner().invoke(app, [*arguments, "--replace"]).exit_code == 0
