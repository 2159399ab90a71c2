"""The sampler: steady, cheap by count, deaf to sensors that vanish, quick to stop."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from recorded_boards import BOARDS, unpack
from vultus.errors import UsageError
from vultus.telemetry import Channel, Sampler, find_channels


def channel(name: str, read: object) -> Channel:
    return Channel("power", name, "test", read)  # type: ignore[arg-type]


def wait_for(sampler: Sampler, rows: int) -> None:
    limit = time.monotonic() + 20
    while len(sampler.series.times) < rows and time.monotonic() < limit:
        time.sleep(0.002)
    assert len(sampler.series.times) >= rows


def test_first_and_last_sample_enclose_the_run() -> None:
    with Sampler([channel("x", lambda: 2.0)], hz=50) as sampler:
        start = time.perf_counter_ns()
        time.sleep(0.05)
        stop = time.perf_counter_ns()
    series = sampler.series
    assert series.times[0] <= start < stop <= series.times[-1]
    assert (np.diff(series.times) > 0).all()
    found = sampler.energy("power/x", start, stop)
    assert found.joules == pytest.approx(2.0 * (stop - start) * 1e-9)
    assert found.error == 0.0


@pytest.mark.parametrize("name", BOARDS)
def test_row_opens_each_file_of_its_channels_once_and_nothing_else(
    tmp_path: Path, name: str, opened: list[str]
) -> None:
    """Cost by counting: no folder is listed and no label read again, and at most 60 files are opened in a row."""
    root = unpack(name, tmp_path)
    channels = find_channels(root)
    sampler = Sampler(channels, hz=5)
    opened.clear()
    sampler._row()
    files = [path for path in opened if path.startswith(str(root))]
    repeated = {path for path in files if files.count(path) > 1}
    assert 4 <= len(files) <= 60
    # the sum of an AGX module's inputs reads its parts again, to be of one moment
    assert all("/hwmon" in path for path in repeated)
    assert not any(path.endswith(("_label", "/type", "/name")) for path in files)


OPENED: list[str] | None = None


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if OPENED is not None and event in ("open", "os.listdir", "os.scandir"):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_audit)


@pytest.fixture
def opened() -> object:
    global OPENED
    OPENED = []
    yield OPENED
    OPENED = None


def test_rate_is_kept_and_late_rows_are_not_made_up_for() -> None:
    asked = []

    def slow() -> float:
        asked.append(time.perf_counter_ns())
        time.sleep(0.06 if len(asked) == 2 else 0.0)
        return 1.0

    began = time.monotonic()
    with Sampler([channel("slow", slow)], hz=100) as sampler:
        wait_for(sampler, 8)
    passed = time.monotonic() - began
    assert len(asked) == len(sampler.series.times) <= passed * 100 + 2
    # After 60 ms of delay the next rows come at their own pace; six that were made up for would come at once. A busy
    # machine may delay a row by itself, so that two lie close together.
    assert np.median(np.diff(asked)[2:-1]) > 4_000_000


def test_sensor_that_vanishes_and_comes_back_leaves_a_gap(tmp_path: Path) -> None:
    root = unpack("orin-nano-jp6", tmp_path)
    chip = root / "sys/class/hwmon/hwmon1"
    with Sampler(find_channels(root), hz=200) as sampler:
        wait_for(sampler, 3)
        shutil.move(chip, tmp_path / "away")
        wait_for(sampler, len(sampler.series.times) + 20)
        shutil.move(tmp_path / "away", chip)
        wait_for(sampler, len(sampler.series.times) + 25)
    rail = sampler.series.column("power/VDD_IN")
    assert np.isfinite(rail[[0, -1]]).all()
    assert np.isnan(rail).any()
    assert np.isfinite(sampler.series.column("clock/policy0")).all()
    assert sampler.series.missing()["power/VDD_IN"] == np.isnan(rail).sum()


def test_channel_that_stays_silent_is_asked_less_often_and_wakes() -> None:
    answers: list[float | None] = [None]
    asked = []

    def read() -> float | None:
        asked.append(1)
        return answers[0]

    sampler = Sampler([channel("sleeper", read)], capacity=256)
    for _ in range(100):
        sampler._row()
    assert len(asked) <= 5 + 10
    answers[0] = 3.0
    for _ in range(20):
        sampler._row()
    assert np.isfinite(sampler.series.column("power/sleeper")[-10:]).all()


def test_reader_that_raises_leaves_nan_and_spares_the_others() -> None:
    def broken() -> float:
        raise RuntimeError("bus error")

    with Sampler([channel("broken", broken), channel("well", lambda: 1.0)], hz=200) as sampler:
        wait_for(sampler, 5)
    assert np.isnan(sampler.series.column("power/broken")).all()
    assert (sampler.series.column("power/well") == 1.0).all()


def test_run_of_any_length_fits_and_is_covered_whole() -> None:
    counter = iter(range(10**6))
    sampler = Sampler([channel("count", lambda: next(counter))], hz=1000, capacity=16)
    for _ in range(1000):
        sampler._row()
    values = sampler.series.column("power/count")
    assert 8 <= len(values) <= 16
    assert values[0] == 0.0
    assert values[-1] >= 1000 - 128
    assert (np.diff(values) > 0).all()


def test_full_sampler_halves_its_rate() -> None:
    asked = []

    def read() -> float:
        asked.append(1)
        return 1.0

    with Sampler([channel("x", read)], hz=400, capacity=8):
        time.sleep(0.3)
    assert len(asked) < 60  # 120 at the first rate


def test_stop_does_not_wait_for_the_next_row() -> None:
    sampler = Sampler([channel("x", lambda: 1.0)], hz=0.01)
    sampler.start()
    began = time.monotonic()
    sampler.stop()
    assert time.monotonic() - began < 5.0  # the next row was due in 100 s
    assert len(sampler.series.times) == 2
    assert not any(thread.name == "vultus-telemetry" for thread in threading.enumerate())


def test_hanging_sensor_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vultus.telemetry.sampler.PATIENCE", 0.1)
    release, first = threading.Event(), iter([True])

    def hang() -> float:
        if not next(first, False):
            release.wait(30)
        return 1.0

    with Sampler([channel("hang", hang)], hz=100) as sampler:
        time.sleep(0.05)
    assert len(sampler.series.times) == 1
    release.set()


def test_own_cost_is_told() -> None:
    with Sampler([channel("busy", lambda: float(sum(range(20_000))))], hz=100) as sampler:
        wait_for(sampler, 5)
    assert sampler.cpu_seconds > 0


def test_misuse_is_told() -> None:
    with pytest.raises(UsageError, match=r"got 0 Hz and room for 8192 rows; expected above 0 Hz"):
        Sampler([], hz=0)
    with Sampler([]) as sampler, pytest.raises(UsageError, match="this Sampler was begun before"):
        sampler.start()
