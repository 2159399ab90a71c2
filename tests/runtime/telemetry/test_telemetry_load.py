"""How busy the machine is, from /proc."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from vultus.telemetry.load import BusyShare, OwnShare, memory, rss

# user nice system idle iowait irq softirq steal guest guest_nice
FIRST = "cpu  100 0 50 800 50 0 0 0 0 0\n"
SECOND = [
    ("cpu  125 0 50 875 50 0 0 0 0 0\n", 0.25),
    ("cpu  100 0 50 850 100 0 0 0 0 0\n", 0.0),  # waiting for a disk is no work
    ("cpu  100 0 50 800 50 0 0 100 0 0\n", 1.0),  # stolen by the hypervisor
    ("cpu  150 0 50 850 50 0 0 0 50 0\n", 0.5),  # a guest's time is in user's already
    (FIRST, None),
    ("", None),
    ("cpu  one two three four five six\n", None),
]


@pytest.mark.parametrize(("second", "share"), SECOND)
def test_share_of_time_with_work(tmp_path: Path, second: str, share: float | None) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(f"{FIRST}cpu0 1 1 1 1\n")
    busy = BusyShare(tmp_path)
    assert busy() is None
    (tmp_path / "proc/stat").write_text(second)
    assert busy() == share


def test_own_share_is_of_all_cores() -> None:
    own = OwnShare()
    assert own() is None
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    found = own()
    assert found is not None
    assert 0.0 < found <= 1.5 / (os.cpu_count() or 1)


def test_memory_of_this_process_and_machine() -> None:
    told = memory()
    assert (rss() or 0) > 1 << 20
    assert told["MemTotal"] > told["MemAvailable"] > 0


def test_memory_that_is_not_told_is_none(tmp_path: Path) -> None:
    assert (memory(tmp_path), rss(tmp_path)) == ({}, None)
