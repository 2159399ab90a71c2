"""The two places for engines and the link that says which is in use; every change survives a loss of power."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vultus.disk import flush_folder
from vultus.errors import SinkError, VultusError
from vultus.service.files import read_json, write_json
from vultus_firstboot import FirstBootError

__all__ = ["Origin", "Record", "Slot", "Slots", "origin_in"]

Slot = Literal["a", "b"]

RECORD = "slot.json"
ORIGIN = "origin.json"
NEXT_LINK = ".current.new"


@dataclass(frozen=True)
class Origin:
    """Where the kernels of a slot's engines were timed; written before the first of them. See `Machine`."""

    board: str = ""
    mode: str = ""
    schema: Literal[1] = 1

    def differs(self, board: str, mode: str) -> str:
        """Return why engines from there are not those to build here, as far as both tell; empty when they may be."""
        for what, there, here in (("on module", self.board, board), ("in power mode", self.mode, mode)):
            if there and here and there != here:
                return f"built {what} {there}, this is {here}, where other kernels may be the fastest"
        return ""


@dataclass(frozen=True)
class Record:
    """What passed the self-test in a slot. program: which installed vultus tested it. engines: file -> key."""

    program: str
    engines: dict[str, str] = field(default_factory=dict)
    tested: float = 0.0
    schema: Literal[1] = 1


@dataclass(frozen=True)
class Slots:
    """The folder with the slots `a` and `b` and the link `current`."""

    folder: Path

    @property
    def current(self) -> Slot | None:
        """The slot in use; None when the link is not there or leads elsewhere."""
        try:
            name = os.readlink(self.folder / "current")
        except OSError:
            return None
        return "a" if name == "a" else "b" if name == "b" else None

    @property
    def spare(self) -> Slot:
        """The slot that may be written."""
        return "b" if self.current == "a" else "a"

    def path(self, slot: Slot) -> Path:
        """Return the folder of a slot."""
        return self.folder / slot

    def record(self, slot: Slot) -> Record | None:
        """Return what passed the self-test in a slot, None when nothing did."""
        try:
            return read_json(self.path(slot) / RECORD, Record)
        except VultusError:
            return None

    def prepare(self, slot: Slot, keep: Collection[str], origin: Origin) -> None:
        """Make a slot ready to be filled: it holds nothing but the files to keep and its origin, and can be written.

        Raises FirstBootError when it cannot be written.
        """
        folder = self.path(slot)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Gone ahead of the rest, so that no slot looks tested whose engines change.
            (folder / RECORD).unlink(missing_ok=True)
            flush_folder(folder)
            for entry in folder.iterdir():
                if entry.name not in keep:
                    _remove(entry)
            write_json(folder / ORIGIN, origin)
        except (OSError, SinkError) as error:
            cause = error.__cause__ if isinstance(error, SinkError) else error
            raise FirstBootError(
                f"cannot write to {folder}: {getattr(cause, 'strerror', error)}; engines need a folder that lasts "
                "and can be written"
            ) from error

    def seal(self, slot: Slot, record: Record) -> None:
        """Note that the engines of a slot passed the self-test."""
        flush_folder(self.path(slot))
        write_json(self.path(slot) / RECORD, record)

    def switch(self, slot: Slot | None) -> None:
        """Let `current` lead to a slot, in one step; None takes the link away."""
        link, following = self.folder / "current", self.folder / NEXT_LINK
        if slot is None:
            link.unlink(missing_ok=True)
        else:
            following.unlink(missing_ok=True)
            following.symlink_to(slot)
            os.replace(following, link)
        flush_folder(self.folder)


def origin_in(folder: Path) -> Origin:
    """Return where the engines of a folder come from; an empty one where that is not told."""
    try:
        return read_json(folder / ORIGIN, Origin) or Origin()
    except VultusError:
        return Origin()


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
