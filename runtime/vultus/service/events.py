"""Over-current and throttling of the last minutes: a counter alone does not tell when, and a probe asks once."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from vultus.telemetry.events import read_events

__all__ = ["RecentEvents"]

WINDOW, EVERY = 600.0, 60.0  # seconds


class RecentEvents:
    """Reads the counters below a root once a minute and keeps where they stood ten minutes ago."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._marks: deque[tuple[float, dict[str, int]]] = deque()

    def before(self, now: float) -> dict[str, int]:
        """Return the counts of ten minutes ago, or of the first call, by name; now: of time.monotonic."""
        if not self._marks or now - self._marks[-1][0] >= EVERY:
            counts = {found.name: found.count for found in read_events(self._root) if found.count is not None}
            self._marks.append((now, counts))
        while len(self._marks) > 1 and now - self._marks[1][0] >= WINDOW:
            self._marks.popleft()
        return self._marks[0][1]
