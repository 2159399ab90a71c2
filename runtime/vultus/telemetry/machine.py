"""All readings of a machine at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vultus.telemetry.board import Board, read_board
from vultus.telemetry.clocks import Clock, read_clocks
from vultus.telemetry.events import EventCounter, raised_alarms, read_events
from vultus.telemetry.gpu import Gpu, read_gpus
from vultus.telemetry.load import memory
from vultus.telemetry.nvml import Nvml
from vultus.telemetry.rails import Rail, read_rails
from vultus.telemetry.thermal import Cooler, Zone, read_coolers, read_zones

__all__ = ["Readings", "read_machine"]


@dataclass(frozen=True)
class Readings:
    """What a machine told at one moment; empty where it has nothing of a kind.

    alarms: of power monitors, raised now. memory: /proc/meminfo by name, bytes.
    """

    board: Board
    rails: tuple[Rail, ...] = ()
    zones: tuple[Zone, ...] = ()
    coolers: tuple[Cooler, ...] = ()
    clocks: tuple[Clock, ...] = ()
    events: tuple[EventCounter, ...] = ()
    alarms: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    memory: tuple[tuple[str, int], ...] = ()


def read_machine(root: Path = Path("/"), nvml: Nvml | None = None) -> Readings:
    """Read everything below a root, and from NVML when it is given, once."""
    return Readings(
        board=read_board(root),
        rails=tuple(read_rails(root, nvml.rails() if nvml else ())),
        zones=tuple(read_zones(root)),
        coolers=tuple(read_coolers(root)),
        clocks=tuple(read_clocks(root)),
        events=tuple(read_events(root)),
        alarms=raised_alarms(root),
        gpus=tuple(read_gpus(root, nvml)),
        memory=tuple(memory(root).items()),
    )
