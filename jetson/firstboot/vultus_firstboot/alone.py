"""One first boot at a time, one that can be stopped, and nothing left of one that was cut off."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from vultus.signals import handled
from vultus_firstboot import FirstBootError, Stopped

__all__ = ["alone", "refuse_foreign", "remove_leftovers", "stoppable"]

LOCK = ".firstboot.lock"
LEFTOVERS = (".firstboot.json.*", ".firstboot.reserve", ".ready.*", ".timings-*.cache.*")


@contextmanager
def alone(state: Path) -> Iterator[int]:
    """Hold the lock of a state folder and yield its descriptor, for children to inherit.

    A child that outlives its killed parent holds it as well, so that two never write to the same slot. Raises
    FirstBootError while somebody holds it, or when the folder cannot be written.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = os.open(state / LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise FirstBootError(
            f"cannot write to {state}: {error.strerror}; the first boot needs a folder that lasts and can be written"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FirstBootError(
                f"another first boot is at work in {state}; wait until it has ended"
            ) from None
        yield lock
    finally:
        os.close(lock)


def refuse_foreign(state: Path) -> None:
    """Raise FirstBootError for root where the service runs as another user, who could not write what root wrote."""
    owner = state.stat().st_uid
    if os.geteuid() == 0 and owner:
        raise FirstBootError(
            f"{state} belongs to user {_name_of(owner)}, this is root, and what root builds that user could not renew; "
            f"start it as that user: sudo -u {_name_of(owner)} ..."
        )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped in the main thread where SIGTERM or SIGINT would end the process."""

    def stop(number: int, _: FrameType | None) -> NoReturn:
        raise Stopped(
            f"stopped by {signal.Signals(number).name}; it goes on where it was when it is started again"
        )

    with handled(dict.fromkeys((signal.SIGTERM, signal.SIGINT), stop)):
        yield


def remove_leftovers(state: Path) -> None:
    """Remove files that a first boot was writing when it was cut off."""
    for pattern in LEFTOVERS:
        for path in state.glob(pattern):
            path.unlink(missing_ok=True)
