"""What a measurement must say of the machine that it ran on, and nothing that names its owner."""

from __future__ import annotations

from dataclasses import dataclass

from vultus.telemetry.board import Board
from vultus.telemetry.clocks import Clock

__all__ = ["Fingerprint"]


@dataclass(frozen=True)
class Fingerprint:
    """A machine as far as it bears on speed; None for what it does not tell. No host, no user, no paths, no serial.

    cores: logical processors of the machine; pinned: those that this process may run on, as the kernel lists
    them (`0-3,6`). memory: bytes. versions: of packages and libraries by name, None for those that are absent.
    """

    cpu: str | None
    architecture: str
    cores: int | None
    pinned: str | None
    governors: tuple[str, ...]
    memory: int | None
    kernel: str
    system: str | None
    gpu: str | None
    compute_capability: str | None
    driver: str | None
    cuda: str | None
    board: Board
    clocks: tuple[Clock, ...]
    versions: tuple[tuple[str, str | None], ...]
