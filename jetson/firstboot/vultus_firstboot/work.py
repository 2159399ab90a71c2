"""The two long steps, each a child process: building an engine and testing what was built."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vultus_firstboot import FirstBootError
from vultus_firstboot.child import ended, heard, python
from vultus_firstboot.machine import Machine
from vultus_firstboot.report import Report
from vultus_firstboot.wanted import Wanted

__all__ = ["SelfTestFailed", "Work"]

PROGRESS = re.compile(r".*?: (\d+)%, (.*)")
LONGEST_BUILD = 2 * 3600.0
LONGEST_TEST = 3600.0
SHOWN = 3


class SelfTestFailed(FirstBootError):
    """The self-test found a difference, or the engines do not run."""


@dataclass(frozen=True)
class Work:
    """What building and testing have in common. lock: descriptor that marks that a first boot is at work."""

    report: Report
    machine: Machine
    timings: Path
    frames: int
    lock: int

    def build(self, wanted: Wanted, slot: Path) -> None:
        """Build an engine into a slot; raises FirstBootError with the reason of the builder."""
        command = [*python(), "-m", "vultus_export.cli", "engine", str(wanted.onnx), "--out", str(slot)]
        command += ["--flavour", self.machine.flavour]
        if not self.machine.portable:
            command += ["--timing-cache", str(self.timings)]
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            told = PROGRESS.fullmatch(line)
            if told:
                self.report.progress(int(told[1]) / 100, f"{told[1]} %, {told[2]}")
            else:
                self.report.say(line)

        status = heard(command, hear, LONGEST_BUILD, [self.lock], quiet=True)
        if status:
            raise FirstBootError(f"{wanted.name} cannot be built: {_reason(said, status)}")

    def test(self, slot: Path, wanted: Sequence[Wanted]) -> None:
        """Hold the engines of a slot against their own models on the CPU; raises SelfTestFailed with what differs."""
        command = [*python(), "-m", "vultus", "selftest", "--device", "cuda", "--frames", str(self.frames)]
        for engine in wanted:
            command += ["--models", str(slot / engine.file), "--against", str(engine.onnx)]
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            self.report.progress(0.0, line)

        status = heard(command, hear, LONGEST_TEST, [self.lock])
        if status:
            failed = [line for line in said if line.startswith("FAILED")]
            more = f" (and {len(failed) - SHOWN} more)" if len(failed) > SHOWN else ""
            reason = "; ".join(failed[:SHOWN]) + more if failed else _reason(said, status)
            raise SelfTestFailed(f"the self-test with the new engines failed: {reason}")


def _reason(said: Sequence[str], status: int) -> str:
    """Return the error that a child told, else its last line with how it ended."""
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    if errors:
        return errors[-1]
    last = f"; the last thing it said: {said[-1]}" if said else ""
    return f"{ended(status)}{last}"
