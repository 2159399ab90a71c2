"""The text form that FDDB has for true and for found faces alike: a name, a count, and a line of numbers a face."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["Block", "Form", "read_blocks"]


@dataclass(frozen=True)
class Form:
    """What a line of a face holds.

    words: name of each number. lengths: places of those that are never negative. zero: whether they may be 0.
    """

    words: tuple[str, ...]
    lengths: tuple[int, ...]
    zero: bool

    def numbers(self, line: str) -> list[float]:
        """Return the numbers of a line; raises ValueError saying what is wrong with it."""
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        if len(values) != len(self.words) or not all(map(math.isfinite, values)):
            raise ValueError(f"expected {len(self.words)} numbers, {' '.join(self.words)}, not {line!r}")
        for place in self.lengths:
            if values[place] < 0 or (values[place] == 0 and not self.zero):
                least = "0 or more" if self.zero else "more than 0"
                raise ValueError(f"{self.words[place]} must be {least}, not {values[place]:g}")
        return values


@dataclass(frozen=True)
class Block:
    """One picture: its name, the line (from 1) that it stands in, and its faces (n, numbers a face)."""

    name: str
    line: int
    rows: npt.NDArray[np.float64]


def read_blocks(file: Path, form: Form) -> list[Block]:
    """Return the pictures of a file in its order; empty lines between them are skipped.

    Raises ValueError naming file and line when the file is malformed or names a picture twice.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text file: {error}") from error
    blocks: dict[str, Block] = {}
    for block in _blocks(file, lines, form):
        if block.name in blocks:
            first = blocks[block.name].line
            raise ValueError(f"{file}, line {block.line}: {block.name} stands in line {first} already")
        blocks[block.name] = block
    return list(blocks.values())


def _blocks(file: Path, lines: list[str], form: Form) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        count = _count(file, lines, at)
        rows = [_row(file, lines, at, place, form) for place in range(at + 2, at + 2 + count)]
        yield Block(lines[at], at + 1, np.array(rows, np.float64).reshape(count, len(form.words)))
        at += 2 + count


def _count(file: Path, lines: list[str], at: int) -> int:
    """Return the number of faces of the picture whose name stands at `at`."""
    said = lines[at + 1] if at + 1 < len(lines) else ""
    if not said.isascii() or not said.isdigit():
        raise ValueError(
            f"{file}, line {at + 2}: expected the number of faces of {lines[at]!r}, not {said!r}"
        )
    return int(said)


def _row(file: Path, lines: list[str], at: int, place: int, form: Form) -> list[float]:
    if place >= len(lines):
        raise ValueError(
            f"{file} ends in line {len(lines)}; line {at + 2} says that {lines[at]} has {lines[at + 1]} faces"
        )
    try:
        return form.numbers(lines[place])
    except ValueError as error:
        raise ValueError(f"{file}, line {place + 1}: {error}") from None
