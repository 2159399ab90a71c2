"""What the first boot tells: plain lines with percent for the journal, and firstboot.json for other programs."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vultus.errors import SinkError
from vultus.service.firstboot import FirstBoot, Stage, write_firstboot
from vultus_firstboot.slots import Slot

__all__ = ["Report"]

ERROR, WARNING, INFO = 3, 4, 6  # priorities of syslog, as journald reads them ahead of a line
RESERVE, ROOM = ".firstboot.reserve", 1 << 14


class Report:
    """Tells how far the first boot has come; its file is written whole at every step."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told = FirstBoot("building", started=time.time())
        self._share = 0.0
        self._deaf = False
        self._reserve = file.with_name(RESERVE)
        self._hold_reserve()

    def plan(self, total: int, slot: Slot) -> None:
        """Note how many steps there are and which slot is filled."""
        self._told = replace(self._told, total=total, slot=slot)

    def step(self, state: Stage, step: str, done: int, detail: str = "") -> None:
        """Begin a step; `done` steps are behind it."""
        self._told = replace(self._told, state=state, step=step, done=done)
        self._share = 0.0
        self.progress(0.0, detail or state)

    def progress(self, share: float, detail: str) -> None:
        """Tell how much of the step is done, 0-1."""
        self._told, self._share = replace(self._told, detail=detail), max(share, self._share)
        self._write()
        self.say(f"{self._told.step}: {detail}")

    def say(self, text: str, level: int = INFO) -> None:
        """Tell one line, with the percent of the whole."""
        told = self._told
        percent = f"{(told.done + self._share) / told.total:4.0%} " if told.total else ""
        _line(f"first boot: {percent}{text}", level)

    def ready(self, slot: Slot | None, detail: str) -> None:
        """Tell that all is done."""
        told = self._told
        self._told = replace(told, state="ready", step="", done=told.total, detail=detail, slot=slot)
        self._give_reserve()
        self._write()
        _line(f"first boot: ready: {detail}", INFO)

    def failed(self, why: str) -> None:
        """Tell that it failed and that the engines in use are those of before."""
        self._told = replace(self._told, state="failed", why=why)
        self._give_reserve()
        self._write()
        for line in why.splitlines():
            _line(f"first boot: FAILED: {line}", ERROR)

    def _hold_reserve(self) -> None:
        """Keep some room, so that on a full disk the last word can still be written."""
        with suppress(OSError):
            self._reserve.write_bytes(b"\0" * ROOM)

    def _give_reserve(self) -> None:
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)

    def _write(self) -> None:
        """Write the file; a disk that is full must not stop the work, which may need no more of it."""
        self._told = replace(self._told, written=time.time())
        try:
            write_firstboot(self._file, self._told)
            self._deaf = False
        except SinkError as error:
            if not self._deaf:
                _line(f"first boot: {error}", WARNING)
            self._deaf = True


def _line(text: str, level: int) -> None:
    prefix = f"<{level}>" if os.environ.get("JOURNAL_STREAM") else ""
    sys.stdout.write(f"{prefix}{text}\n")
    sys.stdout.flush()
