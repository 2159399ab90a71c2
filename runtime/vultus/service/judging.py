"""How the service is doing, from counts and times: rates and what is not as it should be."""

from __future__ import annotations

from collections import deque

from vultus.service.config import Health
from vultus.sources.latest import LatestFrame

__all__ = ["Meter", "source_warning"]

WINDOW = 10.0


class Meter:
    """Counts frames and faces, and tells the rate of the last ten seconds. Times are of time.monotonic."""

    def __init__(self, now: float) -> None:
        self.frames = self.faces = 0
        self.last: float | None = None
        self._since = now
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def add(self, now: float, faces: int) -> None:
        """Count a frame that was analysed."""
        self.frames += 1
        self.faces += faces
        self.last = now

    def mark(self, now: float) -> None:
        """Remember where the counts stand, about once a second."""
        self._marks.append((now, self.frames))
        while len(self._marks) > 2 and now - self._marks[1][0] >= WINDOW:
            self._marks.popleft()

    @property
    def fps(self) -> float:
        """Frames a second between the first mark of the window and the last."""
        (began, first), (ended, last) = self._marks[0], self._marks[-1]
        return (last - first) / (ended - began) if ended > began else 0.0

    @property
    def settled(self) -> bool:
        """Whether the rate is that of a whole window."""
        return self._marks[-1][0] - self._marks[0][0] >= WINDOW

    def idle(self, now: float) -> float:
        """Return the seconds since the last frame, or since the beginning."""
        return now - (self._since if self.last is None else self.last)


def source_warning(reader: LatestFrame, meter: Meter, wanted: Health, now: float) -> str:
    """Return what is wrong with the frames that come, empty when they come as wanted."""
    idle = meter.idle(now)
    if reader.state == "broken" and reader.why:
        return f"the source is gone: {reader.why}"
    if idle > wanted.stall_s:
        return f"{reader.feed.name}: no frame for {idle:.0f} s, one is expected within {wanted.stall_s:g} s"
    if wanted.least_fps is not None and meter.settled and meter.fps < wanted.least_fps:
        return f"{meter.fps:.1f} frames a second are analysed, at least {wanted.least_fps:g} are wanted"
    return ""
