"""Files that are absent, asleep, empty or full of something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vultus.telemetry.files import children, integer, reason, scaled, text

CONTENTS = [
    (b"42\n", 42, "42", ""),
    (b"-392\n", -392, "-392", ""),
    (b"NVIDIA\0tegra\0", None, "NVIDIA\0tegra", "which is no number"),
    (b"", None, "", "is empty"),
    (b"\xff\xfe", None, "��", "which is no number"),
]


@pytest.mark.parametrize(("content", "number", "words", "why"), CONTENTS)
def test_what_a_file_holds(tmp_path: Path, content: bytes, number: int | None, words: str, why: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert (integer(path), text(path)) == (number, words)
    assert why in reason(path)
    assert bool(reason(path)) == bool(why)


@pytest.mark.parametrize("kind", ["absent", "folder", "file as folder"])
def test_what_cannot_be_read_is_none(tmp_path: Path, kind: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("1")
    path = {"absent": "none", "folder": "folder", "file as folder": "file/below"}[kind]
    assert (integer(tmp_path / path), text(tmp_path / path), scaled(tmp_path / path, 2.0)) == (
        None,
        None,
        None,
    )
    assert reason(tmp_path / path)


def test_sensor_that_answers_eagain_is_none(tmp_path: Path) -> None:
    """A pipe with a writer and no data answers EAGAIN, as a thermal zone does whose part is switched off."""
    path = tmp_path / "temp"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    try:
        assert (integer(path), text(path)) == (None, None)
        assert reason(path) == "Resource temporarily unavailable"
    finally:
        os.close(writer)


def test_long_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_text("x" * 200_000)
    assert len(text(path) or "") == 200_000


def test_children_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("hwmon10", "hwmon2", "hwmon1", "other"):
        (tmp_path / name).mkdir()
    assert [path.name for path in children(tmp_path, "hwmon*")] == ["hwmon1", "hwmon2", "hwmon10"]
    assert children(tmp_path / "none", "*") == []
