"""Found faces in the text form that FDDB asks for: fold-XX-out.txt with a name, a count and a line a face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.fddb_blocks import Form, read_blocks
from harness.fddb_truth import Truth, folds_of
from harness.found_faces import Found, best_first, found_lines
from vultus_export.whole import write_whole

__all__ = ["found_file", "read_found", "write_found"]

FORM = Form(("x", "y", "width", "height", "score"), lengths=(2, 3), zero=True)


def found_file(folder: Path, fold: str) -> Path:
    """Return where the found faces of a fold stand."""
    return folder / f"fold-{fold}-out.txt"


def write_found(folder: Path, pictures: Sequence[Truth], found: Sequence[Found]) -> list[Path]:
    """Write a file a fold, each whole or not at all, and return their paths; `found` holds one item a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for fold, places in folds_of(pictures).items():
        lines: list[str] = []
        for place in places:
            rows = found_lines(found[place])
            lines += [pictures[place].name, str(len(rows)), *rows]
        paths.append(found_file(folder, fold))
        write_whole(paths[-1], ("\n".join(lines) + "\n").encode())
    return paths


def read_found(folder: Path, pictures: Sequence[Truth]) -> list[Found | None]:
    """Return what the files hold of each picture, best score first; None for one that no file names.

    The order of pictures in a file is free. Raises FileNotFoundError when there is no file of any fold, ValueError
    naming file and line when one is malformed or names a picture that is not of its fold.
    """
    found: list[Found | None] = [None] * len(pictures)
    folds = folds_of(pictures)
    if not any(found_file(folder, fold).is_file() for fold in folds):
        raise FileNotFoundError(f"{folder} holds no fold-XX-out.txt of any fold of the truth")
    for fold, places in folds.items():
        by_name = {pictures[place].name: place for place in places}
        for name, faces in _fold(found_file(folder, fold), fold, by_name).items():
            found[by_name[name]] = faces
    return found


def _fold(file: Path, fold: str, names: dict[str, int]) -> dict[str, Found]:
    """Return the found faces of a fold's pictures by name; none when there is no file."""
    blocks = read_blocks(file, FORM) if file.is_file() else []
    for block in blocks:
        if block.name not in names:
            raise ValueError(f"{file}, line {block.line}: {block.name} is no picture of fold {fold}")
    return {block.name: best_first(block.rows) for block in blocks}
