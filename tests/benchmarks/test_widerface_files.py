"""WIDER FACE's files: MATLAB's format, both forms of the truth, found faces, and files that are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import wider_files
from harness.widerface_mat import read_mat
from harness.widerface_predictions import official_boxes, read_found, write_found
from harness.widerface_truth import read_truth

PICTURES: list[wider_files.Picture] = [
    ("0--Parade", "0_Parade_a_1", [[10, 20, 30, 40], [300.5, 1, 2, 3]]),
    ("0--Parade", "0_Parade_b_2", []),
    ("9--Press", "9_Press_c_3", [[1, 2, 300, 4]]),
]
LISTS = {"easy": [[1], [], []], "medium": [[1], [], [1]], "hard": [[1, 2], [], [1]]}


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_texts_and_cells_are_read(tmp_path: Path, deflated: bool, order: str) -> None:
    values = {
        "small": np.array([[1.0, 2, 3], [4, 5, 255]]),
        "large": np.array([[0.5, -1e300]]),
        "nothing": np.empty((0, 4)),
        "text": "9--Press_Conference",
        "cells": ["ab", [np.array([[7.0]]), "c"], np.empty((0, 0))],
    }
    read = read_mat(wider_files.save_mat(tmp_path / "a.mat", values, deflated, order))
    for name in ("small", "large", "nothing"):
        np.testing.assert_array_equal(read[name], values[name])
    assert read["text"] == values["text"]
    assert read["cells"].shape == (3, 1)
    assert read["cells"][0, 0] == "ab"
    assert read["cells"][1, 0][0, 0].tolist() == [[7]]
    assert read["cells"][2, 0].shape[0] == 0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:60], "no MAT file of level 5"),
        (lambda data: data[:124] + b"\x00\x02IM" + data[128:], "no MAT file of level 5"),
        (lambda data: data[:-9], "damaged"),
        (lambda data: data[:150] + bytes([data[150] ^ 255]) + data[151:], "damaged"),
    ],
)
def test_a_damaged_mat_file_is_named(tmp_path: Path, damage: object, words: str) -> None:
    path = wider_files.save_mat(tmp_path / "a.mat", {"a": np.arange(12.0).reshape(3, 4) / 7})
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ValueError, match=words):
        read_mat(path)


def test_the_lists_say_which_faces_count(tmp_path: Path) -> None:
    truth = read_truth(wider_files.save_truth(tmp_path / "ground_truth", PICTURES, LISTS))
    assert [(one.event, one.name) for one in truth] == [picture[:2] for picture in PICTURES]
    assert truth[0].boxes.tolist() == PICTURES[0][2]
    assert truth[1].boxes.shape == (0, 4)
    assert [one.kept["easy"].tolist() for one in truth] == [[True, False], [], [False]]
    assert [one.kept["hard"].tolist() for one in truth] == [[True, True], [], [True]]


def test_the_text_form_alone_has_one_difficulty(tmp_path: Path) -> None:
    truth = read_truth(wider_files.save_text(tmp_path, PICTURES, invalid=[(0, 1)]))
    assert [one.boxes.tolist() for one in truth] == [picture[2] for picture in PICTURES]
    assert [one.kept["all"].tolist() for one in truth] == [[True, False], [], [True]]


def test_the_text_form_takes_the_lists_beside_it(tmp_path: Path) -> None:
    wider_files.save_truth(tmp_path, PICTURES, LISTS)
    (tmp_path / "wider_face_val.mat").unlink()
    truth = read_truth(wider_files.save_text(tmp_path, PICTURES))
    assert [one.kept["medium"].tolist() for one in truth] == [[True, False], [], [True]]


@pytest.mark.parametrize(
    ("lists", "kind", "words"),
    [
        ({**LISTS, "easy": [[3], [], []]}, ValueError, "names face 3 of 0--Parade/0_Parade_a_1, which has 2"),
        ({"easy": LISTS["easy"]}, FileNotFoundError, "not wider_medium_val.mat, wider_hard_val.mat"),
    ],
)
def test_lists_that_contradict_the_boxes_are_refused(
    tmp_path: Path, lists: dict[str, list[list[int]]], kind: type[Exception], words: str
) -> None:
    folder = wider_files.save_truth(tmp_path, PICTURES, lists)
    with pytest.raises(kind, match=words):
        read_truth(folder)


def test_no_truth_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"holds neither wider_face_val.mat nor wider_face_val_bbx_gt.txt"
    ):
        read_truth(tmp_path)


def test_a_damaged_text_form_names_the_line(tmp_path: Path) -> None:
    file = wider_files.save_text(tmp_path, PICTURES) / "wider_face_val_bbx_gt.txt"
    file.write_text(file.read_text().replace("300 4 0", "300 four 0"))
    with pytest.raises(ValueError, match=r"line 8: the faces of 9--Press/9_Press_c_3\.jpg cannot be read"):
        read_truth(tmp_path)


def test_found_faces_come_back_as_they_were_written(tmp_path: Path) -> None:
    boxes = np.array([[1.25, 2, 30, 40], [5, 6.5, 7, 8]])
    path = write_found(tmp_path, "0--Parade", "a", (boxes, np.array([0.25, 0.75])))
    assert path.read_text().splitlines() == [
        "a", "2", "5.00 6.50 7.00 8.00 0.750000", "1.25 2.00 30.00 40.00 0.250000",
    ]  # fmt: skip
    found = read_found(tmp_path, "0--Parade", "a")
    assert found is not None
    np.testing.assert_array_equal(found[0], boxes[::-1])
    np.testing.assert_array_equal(found[1], [0.75, 0.25])
    write_found(tmp_path, "0--Parade", "none", (np.empty((0, 4)), np.empty(0)))
    nothing = read_found(tmp_path, "0--Parade", "none")
    assert nothing is not None
    assert nothing[0].shape == (0, 4)
    assert read_found(tmp_path, "0--Parade", "missing") is None


@pytest.mark.parametrize(
    "text", ["", "a\n2\n1 2 3 4 0.5\n", "a\n1\n1 2 3 4\n", "a\n1\n1 2 3 4 nan\n", "a\nx\n"]
)
def test_a_damaged_file_of_found_faces_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "a.txt").write_text(text)
    with pytest.raises(ValueError, match=r"e/a\.txt"):
        read_found(tmp_path, "e", "a")


def test_boxes_of_the_runtime_start_at_the_pixels_edge() -> None:
    # The first four columns and two rows reach from -0.5 to 3.5 and to 1.5.
    assert official_boxes(np.array([[-0.5, -0.5, 3.5, 1.5]])).tolist() == [[0, 0, 4, 2]]
