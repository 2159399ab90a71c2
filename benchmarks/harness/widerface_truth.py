"""The true faces of WIDER FACE, from the files that its owners publish.

`wider_face_val.mat` (boxes) with `wider_easy_val.mat`, `wider_medium_val.mat` and `wider_hard_val.mat` (which of them
belong to each difficulty) come with the evaluation tools; `wider_face_val_bbx_gt.txt` (boxes) with the annotations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.widerface_mat import read_mat

__all__ = ["DIFFICULTIES", "Truth", "read_text_boxes", "read_truth"]

DIFFICULTIES = ("easy", "medium", "hard")
BOXES_MAT, BOXES_TEXT = "wider_face_val.mat", "wider_face_val_bbx_gt.txt"
NUMBERS, INVALID = 10, 7
"""Numbers a face in the text form, and the place of the mark that it is too poor to count."""

Key = tuple[str, str]


@dataclass(frozen=True)
class Truth:
    """One picture: its event (a folder), its name without suffix, and its faces.

    boxes: (m, 4) as x, y, width, height in pixels. kept: for each difficulty (m,) bool, true for its faces; the
    others are ignored.
    """

    event: str
    name: str
    boxes: npt.NDArray[np.float64]
    kept: dict[str, npt.NDArray[np.bool_]]


def read_truth(folder: Path) -> list[Truth]:
    """Return the pictures of the validation part in the files' order.

    Where the folder holds no lists of difficulties, there is one, `all`: every face that is not marked invalid.
    Raises FileNotFoundError when there are no boxes, ValueError when files are damaged or contradict each other.
    """
    boxes, valid = _boxes(folder)
    files = {name: _find(folder, f"wider_{name}_val.mat") for name in DIFFICULTIES}
    lists = {name: _kept(file, boxes) for name, file in files.items() if file}
    if lists and len(lists) < len(DIFFICULTIES):
        missing = ", ".join(f"wider_{name}_val.mat" for name in DIFFICULTIES if name not in lists)
        raise FileNotFoundError(f"{folder} holds some of the lists of difficulties, but not {missing}")
    kept = lists or {"all": valid}
    return [Truth(*key, found, {name: of[key] for name, of in kept.items()}) for key, found in boxes.items()]


def _boxes(folder: Path) -> tuple[dict[Key, Any], dict[Key, Any]]:
    """Return the boxes by picture, and for each (m,) whether they are valid."""
    mat, text = _find(folder, BOXES_MAT), _find(folder, BOXES_TEXT)
    if mat:
        boxes = {
            key: np.asarray(found, np.float64).reshape(-1, 4)
            for key, found in _by_picture(mat, "face_bbx_list", [])
        }
        return boxes, {key: np.ones(len(found), np.bool_) for key, found in boxes.items()}
    if text:
        return read_text_boxes(text)
    raise FileNotFoundError(
        f"{folder} holds neither {BOXES_MAT} nor {BOXES_TEXT}; get them from WIDER FACE's page"
    )


def _find(folder: Path, name: str) -> Path | None:
    return next(iter(sorted(folder.rglob(name))), None)


def _kept(file: Path, boxes: dict[Key, Any]) -> dict[Key, npt.NDArray[np.bool_]]:
    """Return for each picture which of its faces a difficulty's list names; the list counts from 1."""
    kept: dict[Key, npt.NDArray[np.bool_]] = {}
    for key, places in _by_picture(file, "gt_list", list(boxes)):
        if key not in boxes:
            raise ValueError(f"{file} names {'/'.join(key)}, for which there are no boxes")
        index = np.asarray(places, np.int64).reshape(-1) - 1
        if len(index) and not 0 <= index.min() <= index.max() < len(boxes[key]):
            raise ValueError(
                f"{file} names face {index.max() + 1} of {'/'.join(key)}, which has {len(boxes[key])}"
            )
        kept[key] = np.isin(np.arange(len(boxes[key])), index)
    missing = next((key for key in boxes if key not in kept), None)
    if missing:
        raise ValueError(f"{file} says nothing of {'/'.join(missing)}")
    return kept


def _by_picture(file: Path, what: str, order: list[Key]) -> Iterator[tuple[Key, Any]]:
    """Yield a cell array of cell arrays picture by picture; `order` names them where the file does not."""
    mat = read_mat(file)
    if what not in mat:
        raise ValueError(f"{file} holds no {what}; it holds: {', '.join(mat) or 'nothing'}")
    values = [value for event in mat[what].ravel() for value in event.ravel()]
    if "event_list" in mat and "file_list" in mat:
        events = zip(mat["event_list"].ravel(), mat["file_list"].ravel(), strict=True)
        order = [(str(event), str(name)) for event, names in events for name in names.ravel()]
    if len(order) != len(values):
        raise ValueError(f"{file} holds {what} of {len(values)} pictures, expected {len(order)}")
    yield from zip(order, values, strict=True)


def read_text_boxes(file: Path) -> tuple[dict[Key, Any], dict[Key, Any]]:
    """Return boxes (m, 4) by picture of the text form, and for each (m,) whether they are valid.

    A picture is a line with its path, one with the number of faces, and a line a face; one of no faces still has a
    line of zeros.
    """
    lines = file.read_text(encoding="utf-8").splitlines()
    boxes: dict[Key, Any] = {}
    valid: dict[Key, Any] = {}
    at = 0
    while at < len(lines) and lines[at].strip():
        event, _, name = lines[at].strip().rpartition("/")
        try:
            count = int(lines[at + 1])
            rows = [[float(word) for word in line.split()] for line in lines[at + 2 : at + 2 + max(count, 1)]]
            faces = np.array(rows[:count], np.float64).reshape(count, NUMBERS)
        except (ValueError, IndexError) as error:
            raise ValueError(
                f"{file}, line {at + 1}: the faces of {lines[at]} cannot be read: {error}"
            ) from error
        key = event, name.rpartition(".")[0]
        boxes[key], valid[key] = faces[:, :4], faces[:, INVALID] == 0
        at += 2 + max(count, 1)
    return boxes, valid
