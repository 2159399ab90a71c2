"""FDDB's files made small: folds of ellipses, and lists of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

Picture = tuple[str, Sequence[Sequence[float]]]
"""Name, and ellipses as two radii, angle, x and y of the centre."""


def save_truth(folder: Path, folds: Mapping[str, Sequence[Picture]], lists: bool = True) -> Path:
    """Write the ellipses of each fold, with the two blanks that the true files have, and the lists of pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for fold, pictures in folds.items():
        lines: list[str] = []
        for name, ellipses in pictures:
            faces = [" ".join(f"{value:.6f}" for value in one) + "  1" for one in ellipses]
            lines += [name, str(len(faces)), *faces]
        (folder / f"FDDB-fold-{fold}-ellipseList.txt").write_text("\n".join(lines) + "\n")
        if lists:
            names = "".join(f"{name}\n" for name, _ in pictures)
            (folder / f"FDDB-fold-{fold}.txt").write_text(names)
    return folder
