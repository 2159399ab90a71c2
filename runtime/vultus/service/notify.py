"""What systemd is told: sd_notify's datagrams, without its library; see sd_notify(3)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["Notifier"]


class Notifier:
    """Tells the service manager what NOTIFY_SOCKET names; says nothing where there is none.

    environment: os.environ by default. The watchdog is fed at a quarter of the time that systemd allows.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._pause = _watchdog_seconds(environment) / 4
        self._fed = 0.0
        self._status = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    @property
    def pause(self) -> float | None:
        """Longest time in seconds between two calls of `watchdog`, None where nobody watches."""
        return self._pause or None

    def ready(self) -> None:
        """Tell that the service works, after its start and after a reload."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Tell that the configuration is being read again; `ready` ends it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tell that the service ends by its own will."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """Show a line in `systemctl status`; the same line is told once."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={text}")

    def watchdog(self) -> None:
        """Tell that the caller is alive, when it is time to."""
        now = time.monotonic()
        if self._pause and now - self._fed >= self._pause:
            self._fed = now
            self._tell("WATCHDOG=1")

    def close(self) -> None:
        """Free the socket."""
        self._socket.close()

    def _tell(self, *lines: str) -> None:
        text = "\n".join(line.replace("\n", " ") for line in lines)
        with suppress(OSError):  # a manager that does not listen is no reason to stop
            if self._address:
                self._socket.sendto(text.encode(), self._address)


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """Return the time that systemd allows between two signs of life, 0 where it waits for none of this process."""
    given = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(given) / 1e6 if given.isdecimal() and meant else 0.0
