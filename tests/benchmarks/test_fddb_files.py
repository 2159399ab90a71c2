"""FDDB's files: the truth, found faces both ways, and files that are damaged or contradict each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fddb_files
from harness.fddb_predictions import found_file, read_found, write_found
from harness.fddb_truth import folds_of, read_truth

FACE = [30.0, 20.0, 1.265839, 60.5, 40.25]
FOLDS: dict[str, list[fddb_files.Picture]] = {
    "01": [("2002/08/11/big/img_591", [FACE, [5, 4, -1.5, 9, 8]]), ("2002/08/26/big/img_265", [])],
    "10": [("2003/01/02/big/img_1", [FACE])],
}
GOOD = "a\n1\n30 20 1.5 60 40  1\n"


def test_faces_are_read_fold_by_fold(tmp_path: Path) -> None:
    truth = read_truth(fddb_files.save_truth(tmp_path / "FDDB-folds", FOLDS))
    assert [(one.fold, one.name) for one in truth] == [
        (fold, name) for fold, pictures in FOLDS.items() for name, _ in pictures
    ]
    assert truth[0].ellipses.tolist() == FOLDS["01"][0][1]
    assert truth[1].ellipses.shape == (0, 5)
    assert folds_of(truth) == {"01": [0, 1], "10": [2]}


def test_lists_of_pictures_and_empty_lines_may_be_left_out(tmp_path: Path) -> None:
    folder = fddb_files.save_truth(tmp_path, FOLDS, lists=False)
    file = folder / "FDDB-fold-10-ellipseList.txt"
    file.write_bytes(b"\r\n" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert [len(one.ellipses) for one in read_truth(tmp_path)] == [2, 0, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\n", r"line 2: expected the number of faces of 'a', not ''"),
        ("a\nb\n", r"line 2: expected the number of faces of 'a', not 'b'"),
        ("a\n-1\n", r"line 2: expected the number of faces of 'a', not '-1'"),
        ("a\n2\n30 20 1.5 60 40 1\n", r"ends in line 3; line 2 says that a has 2 faces"),
        ("a\n1\n30 20 1.5 60\n", r"line 3: expected 6 numbers, major_axis_radius .* 1, not '30 20 1.5 60'"),
        ("a\n1\n30 20 x 60 40 1\n", r"line 3: expected 6 numbers"),
        ("a\n1\n30 20 nan 60 40 1\n", r"line 3: expected 6 numbers"),
        ("a\n1\n30 0 1.5 60 40 1\n", r"line 3: minor_axis_radius must be more than 0, not 0"),
        ("a\n1\n-3 5 1.5 60 40 1\n", r"line 3: major_axis_radius must be more than 0, not -3"),
        (GOOD + GOOD, r"line 4: a stands in line 1 already"),
        (GOOD + "30 20 1.5 60 40 1\n", r"line 5: expected the number of faces of '30 20"),
    ],
)
def test_a_malformed_truth_names_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "FDDB-fold-01-ellipseList.txt").write_text(text)
    with pytest.raises(ValueError, match=r"FDDB-fold-01-ellipseList\.txt.*" + words):
        read_truth(tmp_path)


def test_a_truth_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "FDDB-fold-01-ellipseList.txt").write_bytes(b"a\xff\xfe\n0\n")
    with pytest.raises(ValueError, match=r"FDDB-fold-01-ellipseList\.txt is no text file"):
        read_truth(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("FDDB-fold-01.txt", "a\nb\n", r"FDDB-fold-01\.txt names b, .*ellipseList\.txt does not"),
        ("FDDB-fold-01.txt", "\n", r"ellipseList\.txt names a, .*FDDB-fold-01\.txt does not"),
        ("FDDB-fold-02-ellipseList.txt", "a\n0\n", r"fold-02-ellipseList\.txt holds a, which fold 01 holds"),
        ("more/FDDB-fold-01-ellipseList.txt", "b\n0\n", r"are both of fold 01; leave one"),
    ],
)
def test_files_that_contradict_each_other_are_refused(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / "FDDB-fold-01-ellipseList.txt").write_text(GOOD)
    (tmp_path / "more").mkdir()
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        read_truth(tmp_path)


@pytest.mark.parametrize("text", [None, "", "\n\n"])
def test_no_truth_is_said(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "FDDB-fold-01-ellipseList.txt").write_text(text)
    with pytest.raises(FileNotFoundError, match=r"holds no picture in any FDDB-fold-XX-ellipseList\.txt"):
        read_truth(tmp_path)


def test_found_faces_come_back_as_they_were_written(tmp_path: Path) -> None:
    truth = read_truth(fddb_files.save_truth(tmp_path / "truth", FOLDS))
    boxes = np.array([[1.25, 2, 30, 40], [5, 6.5, 7, 8]])
    none = np.empty((0, 4)), np.empty(0)
    found = [(boxes, np.array([0.25, 0.75])), none, (boxes[:1], np.array([-3.5]))]
    paths = write_found(tmp_path / "new" / "found", truth, found)
    assert [path.name for path in paths] == ["fold-01-out.txt", "fold-10-out.txt"]
    assert paths[0].read_text().splitlines() == [
        "2002/08/11/big/img_591", "2", "5.00 6.50 7.00 8.00 0.750000", "1.25 2.00 30.00 40.00 0.250000",
        "2002/08/26/big/img_265", "0",
    ]  # fmt: skip
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["fold-01-out.txt", "fold-10-out.txt"]
    again = read_found(paths[0].parent, truth)
    assert [None if one is None else one[1].tolist() for one in again] == [[0.75, 0.25], [], [-3.5]]
    assert again[0] is not None
    np.testing.assert_array_equal(again[0][0], boxes[::-1])
    written = [path.read_bytes() for path in paths]
    write_found(paths[0].parent, truth, [one if one is not None else none for one in again])
    assert [path.read_bytes() for path in paths] == written


def test_pictures_stand_in_any_order_and_may_be_missing(tmp_path: Path) -> None:
    truth = read_truth(fddb_files.save_truth(tmp_path, FOLDS))
    found_file(tmp_path, "01").write_text("2002/08/26/big/img_265\n1\n1 2 3 4 0.5\n")
    read = read_found(tmp_path, truth)
    assert [one is None for one in read] == [True, False, True]
    found_file(tmp_path, "01").write_text("")
    assert read_found(tmp_path, truth) == [None] * 3


def test_no_file_of_found_faces_is_said(tmp_path: Path) -> None:
    truth = read_truth(fddb_files.save_truth(tmp_path, FOLDS))
    with pytest.raises(FileNotFoundError, match=r"holds no fold-XX-out\.txt"):
        read_found(tmp_path, truth)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2003/01/02/big/img_1\n0\n", r"line 1: 2003/01/02/big/img_1 is no picture of fold 01"),
        ("2002/08/26/big/img_265\n1\n1 2 3 4\n", r"line 3: expected 5 numbers, x y width height score"),
        ("2002/08/26/big/img_265\n1\n1 2 3 4 inf\n", r"line 3: expected 5 numbers"),
        ("2002/08/26/big/img_265\n1\n1 2 -3 4 0.5\n", r"line 3: width must be 0 or more, not -3"),
        ("2002/08/26/big/img_265\n1\n", r"ends in line 2; line 2 says"),
        ("2002/08/26/big/img_265\n0\n" * 2, r"line 3: .* stands in line 1 already"),
    ],
)
def test_a_damaged_file_of_found_faces_names_the_line(tmp_path: Path, text: str, words: str) -> None:
    truth = read_truth(fddb_files.save_truth(tmp_path, FOLDS))
    found_file(tmp_path, "01").write_text(text)
    with pytest.raises(ValueError, match=r"fold-01-out\.txt.*" + words):
        read_found(tmp_path, truth)
