"""The loop of the service: the newest frame in, lines out, the watchdog fed, the configuration read again on SIGHUP."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from vultus.errors import InputError, VultusError
from vultus.schema import line_from_result
from vultus.service.checking import checked_config
from vultus.service.journal import say
from vultus.service.notify import Notifier
from vultus.service.parts import Parts
from vultus.service.places import places
from vultus.service.report import Reporter
from vultus.signals import Handler, handled
from vultus.types import Frame

__all__ = ["serve"]

WAIT = 0.2
"""Seconds that the loop waits for a frame before it looks around: signals, watchdog, status."""


def serve(file: Path) -> None:
    """Run the service of a configuration until SIGTERM or SIGINT, or until a source that ends has ended.

    Raises ConfigError for a configuration that cannot be used, and what opening models and
    outputs and running models raises.
    """
    service = _Service(file)
    with service.signals():
        try:
            service.start()
            service.run()
            service.stop("")
        except BaseException as error:
            service.stop(f"{type(error).__name__}: {error}")
            raise


class _Service:
    """One run of the service."""

    def __init__(self, file: Path) -> None:
        self._file, self._where = file, places()
        self._stop = self._reload = False
        self._notifier = Notifier()
        self._reporter = Reporter(self._where.status)
        self._parts: Parts | None = None

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as the wish to stop, SIGHUP as the wish to read the configuration again."""
        handlers: dict[int, Handler] = {
            signal.SIGTERM: self._on_stop,
            signal.SIGINT: self._on_stop,
            signal.SIGHUP: self._on_reload,
        }
        with handled(handlers):
            yield

    def start(self) -> None:
        """Open everything that the configuration names."""
        config = checked_config(self._file)
        self._reporter.starting()
        self._parts = Parts(config, self._where, lambda line: say(line, "warning"))
        self._notifier.ready()

    def run(self) -> None:
        """Analyse frames until asked to stop."""
        assert self._parts is not None
        while not self._stop and not self._parts.reader.ended:
            self._notifier.watchdog()
            if self._reload:
                self._reload = False
                self._change(self._parts)
            self._turn(self._parts)
        say("asked to stop" if self._stop else f"{self._parts.reader.feed.name}: came to its end", "notice")

    def stop(self, why: str) -> None:
        """Close everything and say that this is the end."""
        self._notifier.stopping()
        if self._parts is not None:
            self._reporter.report(self._parts)
        self._reporter.stopping(why)
        if self._parts is not None:
            self._parts.close()
        self._notifier.close()

    def _turn(self, parts: Parts) -> None:
        """Analyse one frame if one comes, and do what is due."""
        pause = min(WAIT, self._notifier.pause or WAIT)
        if parts.work.analyzer is None:
            time.sleep(pause)
        elif taken := parts.reader.take(pause):
            self._analyse(parts, *taken)
        for output in parts.outputs:
            output.tick()
        if self._reporter.due:
            self._renew(parts)
            self._notifier.status(self._reporter.report(parts))

    def _analyse(self, parts: Parts, name: str, frame: Frame) -> None:
        assert parts.work.analyzer is not None
        try:
            result = parts.work.analyzer(frame)
        except InputError as error:  # of this frame; the next may be well
            self._reporter.frame = f"{name}: {error}"
            return
        self._reporter.meter.add(time.monotonic(), len(result.faces))
        self._reporter.device, self._reporter.frame = result.ran_on, ""
        if parts.outputs:
            line = line_from_result(name, result, frame)
            for output in parts.outputs:
                output.write(line)

    def _renew(self, parts: Parts) -> None:
        """Take the engines of the first boot; what cannot be opened leaves what runs."""
        try:
            parts.renew()
        except VultusError as error:
            self._reporter.say_once("engines", f"{error}; what runs stays")

    def _change(self, parts: Parts) -> None:
        """Read the configuration again; one that cannot be used changes nothing, and that is said."""
        self._notifier.reloading()
        try:
            parts.change(checked_config(self._file))
            self._reporter.refused = ""
            say(f"{self._file}: is in use now", "notice")
        except VultusError as error:
            first = str(error).splitlines()[0]
            self._reporter.refused = (
                f"the new configuration was refused, the one before stays in use: {first}"
            )
            say(f"{error}\nthe new configuration was refused, the one before stays in use", "error")
        self._notifier.ready()

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop = True

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self._reload = True
