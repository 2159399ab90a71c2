"""What systemd is told, over a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vultus.service import journal
from vultus.service.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Yield the socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(0.05)
        yield bound


def told(manager: socket.socket) -> list[str]:
    """Return the messages that wait."""
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except TimeoutError:
            return found


def notifier(manager: socket.socket, **more: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": str(manager.getsockname()), **more})


def test_each_message(manager: socket.socket) -> None:
    teller = notifier(manager)
    teller.ready()
    before = time.monotonic_ns() // 1000
    teller.reloading()
    teller.status("10 frames/s\nand more")
    teller.status("10 frames/s\nand more")
    teller.watchdog()
    teller.stopping()
    teller.close()
    ready, reloading, *rest = told(manager)
    assert ready == "READY=1"
    word, _, moment = reloading.partition("\nMONOTONIC_USEC=")
    assert word == "RELOADING=1"
    assert before <= int(moment) <= time.monotonic_ns() // 1000
    assert rest == ["STATUS=10 frames/s and more", "STOPPING=1"]  # and no watchdog, for nobody asked


def test_the_watchdog_is_fed_in_time_and_not_more_often(manager: socket.socket) -> None:
    teller = notifier(manager, WATCHDOG_USEC="200000", WATCHDOG_PID=str(os.getpid()))
    assert teller.pause == pytest.approx(0.05)
    end = time.monotonic() + 0.22
    while time.monotonic() < end:
        teller.watchdog()
    teller.close()
    assert 3 <= len(told(manager)) <= 5


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}])
def test_a_watchdog_of_nobody_or_of_another_process_is_not_fed(
    manager: socket.socket, more: dict[str, str]
) -> None:
    teller = notifier(manager, **more)
    teller.watchdog()
    teller.close()
    assert teller.pause is None
    assert told(manager) == []


def test_an_abstract_socket() -> None:
    name = f"vultus-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(1)
        teller = Notifier({"NOTIFY_SOCKET": f"@{name}"})
        teller.ready()
        teller.close()
        assert manager.recv(99) == b"READY=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_a_manager_nothing_happens(environment: dict[str, str]) -> None:
    teller = Notifier(environment)
    teller.ready()
    teller.close()


def test_lines_of_the_journal_carry_their_level_where_it_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    journal.say("one\ntwo", "error")
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    journal.say("three", "warning")
    assert capsys.readouterr().err == "vultus: one\nvultus: two\n<4>vultus: three\n"
