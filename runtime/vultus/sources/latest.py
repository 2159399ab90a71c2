"""A thread that keeps the newest frame of a feed, opens the feed again when it breaks off, and never gives up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Literal

from vultus.errors import SourceError
from vultus.sources.feed import Feed
from vultus.types import Frame

__all__ = ["LatestFrame", "SourceState"]

SourceState = Literal["opening", "running", "broken", "ended"]

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
STEADY = 10.0  # seconds of frames after which a feed counts as mended
MOST_TOLD = 1000  # lines that are remembered
PATIENCE = 5.0  # seconds that stop() waits for a feed that hangs


class LatestFrame:
    """Reads a feed in a daemon thread, from `start` to `stop`; `take` returns its newest frame, each once.

    A live feed goes on while a frame is analysed, and what came meanwhile is dropped but for the last; any other
    feed waits until its frame was taken. rate: frames a second that are taken at most. loop: begin a feed that
    is not live again at its end. pause: seconds before a broken feed is opened again; it doubles up to 30.
    say: is told in one line when the feed breaks off or works again; called from the thread.
    """

    def __init__(
        self,
        feed: Feed,
        rate: float | None = None,
        loop: bool = False,
        pause: float = FIRST_PAUSE,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.feed = feed
        self.state: SourceState = "opening"
        self.why = ""
        self.dropped = 0
        self._interval = 1.0 / rate if rate else 0.0
        self._loop, self._first_pause, self._say = loop, pause, say
        self._count, self._due, self._running_since = 0, 0.0, 0.0
        self._told: set[str] = set()
        self._held: tuple[str, Frame] | None = None
        self._condition = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vultus-source", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that hangs in a driver is left behind after 5 s."""
        self._stop.set()
        self.feed.interrupt()
        with self._condition:
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def take(self, timeout: float) -> tuple[str, Frame] | None:
        """Return name and frame that came last, waiting up to `timeout` seconds; None when nothing came."""
        with self._condition:
            self._condition.wait_for(lambda: self._held is not None or self._over, timeout)
            taken, self._held = self._held, None
            self._condition.notify_all()
            return taken

    @property
    def ended(self) -> bool:
        """Whether the last frame of a feed that ends was taken."""
        return self.state == "ended" and self._held is None

    @property
    def _over(self) -> bool:
        return self.state == "ended" or self._stop.is_set()

    def _run(self) -> None:
        pause = self._first_pause
        while not self._stop.is_set():
            before = self._count
            why = self._round()
            if not why and not self._loop:
                self._set("ended")
                return
            if why and not self._stop.is_set():
                if time.monotonic() - self._running_since > STEADY and self._count > before:
                    pause, self._told = self._first_pause, set()
                self._break_off(why, pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _round(self) -> str:
        """Read the feed once to its end; return why it broke off, empty where it came to its proper end."""
        before = self._count
        failures: list[str] = []
        try:
            with closing(self.feed.frames()) as frames:
                for name, frame in frames:
                    if self._stop.is_set():
                        return ""
                    if isinstance(frame, SourceError):
                        failures.append(str(frame))
                        self._say_once(str(frame))
                    else:
                        self._pass(name, frame)
        except SourceError as error:
            return str(error)
        except (
            Exception
        ) as error:  # a decoder's or driver's own error must not end the service's source for good
            return f"{self.feed.name}: {type(error).__name__}: {error}"
        if self.feed.live:
            return f"{self.feed.name}: the stream ended"
        return (
            "" if self._count > before else failures[-1] if failures else f"{self.feed.name}: holds no frames"
        )

    def _pass(self, name: str, frame: Frame) -> None:
        now = time.monotonic()
        if self._interval and now < self._due:
            if self.feed.live:
                return
            self._stop.wait(self._due - now)
        # Half an interval of slack: a camera's frames jitter, and one that comes a little early must not be left out.
        self._due = max(self._due + self._interval, time.monotonic() + self._interval / 2)
        moment = time.monotonic() - self._began if self.feed.live else frame.time
        self._put(name, replace(frame, index=self._count, time=moment))
        self._count += 1

    def _put(self, name: str, frame: Frame) -> None:
        if self.state != "running":
            self._set("running")
        with self._condition:
            if not self.feed.live:
                self._condition.wait_for(lambda: self._held is None or self._stop.is_set())
            self.dropped += self._held is not None and not self._stop.is_set()
            self._held = (name, frame)
            self._condition.notify_all()

    def _set(self, state: SourceState) -> None:
        if self.state == "broken" and state == "running":
            self._say_once(f"{self.feed.name}: frames come again")
        self._running_since = time.monotonic()
        with self._condition:
            self.state, self.why = state, ""
            self._condition.notify_all()

    def _break_off(self, why: str, pause: float) -> None:
        self.state, self.why = "broken", why
        self._say_once(f"{why}; it is opened again and again")
        self._stop.wait(pause)

    def _say_once(self, line: str) -> None:
        """Tell what is new: a camera that is gone for a night would fill the journal."""
        if line not in self._told:
            self._told = {*self._told, line} if len(self._told) < MOST_TOLD else {line}
            self._say(line)
