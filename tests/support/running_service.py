"""The real service in a process of its own, with a service manager's socket that keeps what it is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from vultus.service.places import Places
from vultus.service.status import Status, read_status

__all__ = ["FACE", "RunningService", "until"]

T = TypeVar("T")
FACE = Path(__file__).parents[2] / "runtime" / "vultus" / "selftest" / "face.png"
"""A picture with one face."""

PATIENCE = 30.0
START = "from vultus.cli import main; main()"


def until(ask: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Return the first true answer; fails with what was waited for when there is none in time."""
    end = time.monotonic() + patience
    while not (answer := ask()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:g} s for {what}")
        time.sleep(0.02)
    return answer


class RunningService:
    """`vultus service` below a folder; `with` starts it, and kills it if it is still there at the end.

    environment: more of it. prelude: Python that runs ahead of the command line.
    """

    def __init__(
        self, folder: Path, config: str, environment: Mapping[str, str] | None = None, prelude: str = ""
    ) -> None:
        self.places = Places(folder / "state", folder / "run", folder / "vultus.toml", folder / "models")
        for made in (self.places.state, self.places.runtime):
            made.mkdir(exist_ok=True)
        self.configure(config)
        self._environment, self._prelude = environment or {}, prelude
        self._log = folder / "service.log"
        self.told: list[str] = []
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._address = str(folder / "notify")

    def __enter__(self) -> RunningService:
        own = {
            "NOTIFY_SOCKET": self._address,
            "WATCHDOG_USEC": "800000",
            "STATE_DIRECTORY": str(self.places.state),
            "RUNTIME_DIRECTORY": str(self.places.runtime),
        }
        code = f"{self._prelude}\n{START}"
        command = [sys.executable, "-c", code, "service", "--config", str(self.places.config)]
        with self._log.open("wb") as log:
            environment = {**os.environ, **self._environment, **own}
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._manager.shutdown(socket.SHUT_RDWR)
        self._listener.join()
        self._manager.close()
        if error is not None:
            sys.stderr.write(self.log)

    def _listen(self) -> None:
        while data := self._manager.recv(65536):
            self.told += data.decode().splitlines()

    def configure(self, text: str) -> None:
        """Write the configuration."""
        self.places.config.write_text(f"schema = 1\n{text}")

    @property
    def log(self) -> str:
        """What the service wrote for the journal."""
        return self._log.read_text()

    @property
    def status(self) -> Status | None:
        """What the service says of itself."""
        return read_status(self.places.status)

    def wait_status(self, fits: Callable[[Status], object], what: str) -> Status:
        """Return the first status that fits."""

        def found() -> Status | None:
            self._alive(what)
            return status if (status := self.status) and fits(status) else None

        return until(found, f"{what}; the last is {self.status}")  # type: ignore[return-value]

    def wait_told(self, line: str, times: int = 1) -> None:
        """Wait until the service manager was told a line so many times."""

        def found() -> bool:
            if self.told.count(line) >= times:
                return True
            self._alive(line)
            return False

        until(found, f"{times} times {line}; told was {self.told}")

    def reload(self, config: str) -> None:
        """Write a configuration and ask for it, as systemctl reload does; returns when the service is ready again."""
        times = self.told.count("READY=1")
        self.configure(config)
        self.process.send_signal(signal.SIGHUP)
        self.wait_told("READY=1", times + 1)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def _alive(self, what: str) -> None:
        if (code := self.process.poll()) is not None:
            raise AssertionError(f"the service ended with {code} while waiting for {what}:\n{self.log}")
