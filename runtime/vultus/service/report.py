"""What the service says of itself while it runs: status.json, the line in systemctl status, and the journal."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vultus.errors import SinkError, SourceError
from vultus.service.events import RecentEvents
from vultus.service.journal import say
from vultus.service.judging import Meter, source_warning
from vultus.service.parts import Parts
from vultus.service.status import ServiceState, Status, Wanted, alive, read_status, write_status
from vultus.words import counted

__all__ = ["Reporter"]

EVERY = 1.0  # seconds between two writings
STEADY = 600.0
"""Seconds after which a service that ended by itself before is taken for well again."""


class Reporter:
    """Counts what is analysed and tells it.

    device: what ran the stages of the last frame, which counts for the models that ran it alone. refused: why the
    configuration on the disk is not in use. frame: why the last frame could not be analysed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started, self._begun = time.time(), time.monotonic()
        self._failures = _failures_before(path)
        self._reported = float("-inf")
        self._known: dict[str, str] = {}
        self._last: Status | None = None
        self.meter = Meter(time.monotonic())
        self.device: dict[str, str] = {}
        self.refused = self.frame = ""
        self._models: object = None
        self._events = RecentEvents()

    @property
    def due(self) -> bool:
        """Whether it is time to report."""
        return time.monotonic() - self._reported >= EVERY

    @property
    def failures(self) -> int:
        """How often in a row the service ended by itself before this start; 0 once it has run for long."""
        return self._failures if time.monotonic() - self._begun < STEADY else 0

    def starting(self) -> None:
        """Tell that models and outputs are being opened."""
        with suppress(
            OSError
        ):  # systemd makes the folder; by hand it may be ours to make, else the next line tells
            self._path.parent.mkdir(mode=0o755, exist_ok=True)
        self._write(self._first())

    def report(self, parts: Parts) -> str:
        """Write the status, tell the journal what is new, and return the status as one line."""
        now = self._reported = time.monotonic()
        self.meter.mark(now)
        if self._models is not parts.work.analyzer:
            self._models, self.device = parts.work.analyzer, self.device if self._models is None else {}
        found = self._warnings(parts, now)
        self._tell({key: text for key, text in found.items() if key not in ("models", "configuration")})
        warnings = tuple(filter(None, found.values()))
        status = self._status("degraded" if warnings else "running", parts, warnings)
        self._write(status)
        return _line(status)

    def stopping(self, why: str) -> None:
        """Tell that the service ends; why: the failure that ends it, empty for a wish."""
        last = self._last or self._first()
        ended = replace(
            last,
            state="stopping",
            written=time.time(),
            warnings=(*last.warnings, *filter(None, [why])),
            failures=self.failures + 1 if why else 0,
        )
        with suppress(SinkError):  # told before, if there was a before
            write_status(self._path, ended)

    def say_once(self, key: str, text: str) -> None:
        """Tell the journal what is new under a key; nothing while it stays the same."""
        if self._known.get(key, "") != text:
            self._known[key] = text
            say(text, "warning")

    def _first(self) -> Status:
        return Status("starting", os.getpid(), self._started, time.time(), failures=self.failures)

    def _warnings(self, parts: Parts, now: float) -> dict[str, str]:
        chosen = parts.work.chosen
        waiting = bool(chosen.wait)
        return {
            "models": chosen.wait or chosen.warning,
            "configuration": self.refused,
            "frames": self.frame,
            "restarts": _ended_of_late(self.failures),
            "source": "" if waiting else source_warning(parts.reader, self.meter, parts.config.health, now),
            **{f"output {index}": output.warning for index, output in enumerate(parts.outputs)},
        }

    def _tell(self, found: dict[str, str]) -> None:
        """Tell the journal what was well and is not, or the other way round; numbers in it change at will."""
        for key, text in found.items():
            before = self._known.get(key, "")
            self._known[key] = text
            if bool(before) != bool(text):
                say(text or f"{key}: well again", "warning" if text else "notice")

    def _status(self, state: ServiceState, parts: Parts, warnings: tuple[str, ...]) -> Status:
        meter, config, chosen = self.meter, parts.config, parts.work.chosen
        return Status(
            state=state,
            pid=os.getpid(),
            started=self._started,
            written=time.time(),
            frames=meter.frames,
            dropped=parts.reader.dropped,
            faces=meter.faces,
            last_frame=None if meter.last is None else time.time() - (time.monotonic() - meter.last),
            fps=round(meter.fps, 2),
            device=self.device if not chosen.wait else {},
            waiting=chosen.wait,
            warnings=warnings,
            config=config.sha256,
            engines=chosen.slot,
            events=self._events.before(time.monotonic()),
            wanted=Wanted(config.run.device, config.health.power_mode),
            failures=self.failures,
        )

    def _write(self, status: Status) -> None:
        self._last = status
        try:
            write_status(self._path, status)
        except SinkError as error:  # no reason to analyse nothing; `vultus health` sees that it is stale
            self.say_once("status", f"{error}; `vultus health` knows nothing of this service without it")


def _failures_before(path: Path) -> int:
    """Return how often in a row the services before this one ended by themselves, as the last of them left it."""
    try:
        last = read_status(path)
    except SourceError:
        return 0
    if last is None or (alive(last.pid) and last.pid != os.getpid()):
        return 0
    return last.failures + (last.state != "stopping")  # one that was killed could not count itself


def _ended_of_late(failures: int) -> str:
    times = counted(failures, "time")
    return f"ended by itself {times} of late; see journalctl -u vultus" if failures else ""


def _line(status: Status) -> str:
    device = "; ".join(dict.fromkeys(status.device.values())) or "nothing analysed yet"
    counts = (
        f"{status.fps:.1f} frames/s, {status.frames} frames, {status.faces} faces, {status.dropped} dropped"
    )
    return " | ".join([status.state.upper(), *status.warnings, counts, device])
