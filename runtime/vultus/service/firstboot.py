"""firstboot.json: how far the first boot of a device has come; its program writes it, doctor and service read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vultus.service.files import read_json, write_json

__all__ = ["FirstBoot", "Stage", "read_firstboot", "write_firstboot"]

Stage = Literal["building", "importing", "selftest", "ready", "failed"]


@dataclass(frozen=True)
class FirstBoot:
    """How far the first boot has come.

    step: what is being done, such as the name of an engine; the done-th of total. slot: `a` or `b`,
    where the engines go. why: of a failure. started, written: seconds since 1970.
    """

    state: Stage
    step: str = ""
    done: int = 0
    total: int = 0
    detail: str = ""
    started: float = 0.0
    written: float = 0.0
    slot: Literal["a", "b"] | None = None
    why: str = ""
    schema: Literal[1] = 1

    @property
    def said(self) -> str:
        """What a person reads of it, one clause."""
        if self.state == "failed":
            return f"failed at {self.step or 'its beginning'}: {self.why or 'no reason was written'}"
        if self.state == "ready":
            return f"ready, engines in slot {self.slot or 'none'}"
        counted = f" {self.done} of {self.total}" if self.total else ""
        return " ".join(
            filter(None, (self.state + counted, self.step, f"({self.detail})" if self.detail else ""))
        )


def read_firstboot(path: Path) -> FirstBoot | None:
    """Return what the first boot said last, None when it has said nothing; raises SourceError for a broken file."""
    return read_json(path, FirstBoot)


def write_firstboot(path: Path, told: FirstBoot) -> None:
    """Put it in its place whole, so that it survives a loss of power; raises SinkError when that fails."""
    write_json(path, told)
