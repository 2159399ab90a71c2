"""Whether a driver may still be called: not after a fork, not once closed, not once its context is lost."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vultus.cuda.driver.faults import FORKED, LOST, device_error
from vultus.errors import DeviceError

__all__ = ["Guard"]

_process = os.getpid()


def _forked() -> None:
    global _process
    _process = os.getpid()


os.register_at_fork(after_in_child=_forked)  # asking the system at each verb costs more than many verbs do


class Guard:
    """What everything made with one driver shares."""

    def __init__(self) -> None:
        self._process = _process
        self._lost = ""
        self._captures = 0
        self._postponed: deque[Callable[[], object]] = deque()
        self.closed = False
        self.allocations = 0

    def check(self, doing: str) -> None:
        """Raise DeviceError when nothing may be called any more."""
        if self._process != _process:
            raise DeviceError(f"{doing} is impossible: {FORKED}")
        if self.closed:
            raise DeviceError(f"{doing} is impossible: this driver is closed; open another")
        if self._lost:
            raise device_error(self._lost, doing, "since an earlier call")

    @property
    def here(self) -> bool:
        """Whether this is the process that opened the device, and it is not ending."""
        return self._process == _process and not sys.is_finalizing()

    @property
    def sound(self) -> bool:
        """Whether freeing still has a meaning; a lost context has freed everything by itself."""
        return self.here and not (self.closed or self._lost)

    def failure(self, name: str, doing: str, detail: str = "") -> DeviceError:
        """Return the error to raise, and remember when the context is lost with it."""
        if name in LOST:
            self._lost = name
        return device_error(name, doing, detail)

    def free(self, release: Callable[[], object]) -> None:
        """Call `release`, or drop it when there is nothing left to free; a capture is not disturbed.

        Freeing while a thread captures would spoil the capture, and the garbage collector chooses its own moment.
        """
        if self._captures:
            self._postponed.append(release)
        elif self.sound:
            release()

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Postpone what is freed meanwhile."""
        self._captures += 1
        try:
            yield
        finally:
            self._captures -= 1
            while self._postponed and not self._captures:
                self.free(self._postponed.popleft())
