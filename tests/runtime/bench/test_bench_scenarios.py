"""The loops: with a clock and an analyzer made for it where time is tested, with the real one elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import tiny
from vultus.bench.clock import SystemClock
from vultus.bench.record import Scenario, ScenarioName
from vultus.bench.samples import Recorder, Samples
from vultus.bench.scenarios import one_query, run_scenario, scenario
from vultus.bench.warmup import warm_up
from vultus.errors import InputError
from vultus.pipeline import Analyzer
from vultus.types import Frame, Result, empty_faces

MS = 1_000_000
FRAMES = [Frame(np.zeros((2, 2, 3), np.uint8), index=index) for index in range(3)]


@dataclass
class FakeClock:
    """Time that passes only where somebody lets it."""

    time: int = 1_000
    late: int = 0

    def now(self) -> int:
        return self.time

    def wait_until(self, deadline: int) -> None:
        self.time = max(self.time, deadline + self.late)


@dataclass
class FakeAnalyzer:
    """Takes the given milliseconds for each frame, the last of them for all further ones."""

    clock: FakeClock
    takes: list[float]
    seen: list[int] = field(default_factory=list)

    def __call__(self, picture: Frame) -> Result:
        spent = self.takes[min(len(self.seen), len(self.takes) - 1)]
        self.clock.time += round(spent * MS)
        self.seen.append(picture.index)
        return Result(picture.index, 0.0, empty_faces(), {"detect": spent})

    def stream(self, pictures: Iterable[Frame]) -> Iterator[Result]:
        for picture in pictures:
            yield self(picture)


def run(made: Scenario, takes: list[float], late: int = 0) -> tuple[Samples, FakeAnalyzer]:
    clock = FakeClock(late=late)
    analyzer = FakeAnalyzer(clock, takes)
    return run_scenario(analyzer, FRAMES, made, clock, Recorder(4)), analyzer


def test_single_takes_the_next_frame_when_the_last_is_done() -> None:
    samples, analyzer = run(scenario("single", seconds=0.1), [10.0])
    assert list(samples.latency) == [10 * MS] * 10
    assert list(samples.start) == list(samples.intended) == [10 * MS * n for n in range(10)]
    assert analyzer.seen[:4] == [0, 1, 2, 0]
    assert samples.seconds == 0.1


def test_a_stream_that_keeps_up_waits_for_its_frames() -> None:
    samples, _ = run(scenario("stream", seconds=1.0, rate=10), [30.0])
    assert list(samples.intended) == [100 * MS * n for n in range(10)]
    assert list(samples.latency) == [30 * MS] * 10
    assert len(samples.dropped) == 0


def test_a_stream_counts_the_wait_behind_a_slow_frame() -> None:
    samples, _ = run(scenario("stream", seconds=1.0, rate=10), [150.0, 30.0])
    # Frame 1 came at 100 ms, was taken at 150 and done at 180: its latency is 80 ms, not 30.
    assert list(samples.latency[:3]) == [150 * MS, 80 * MS, 30 * MS]
    assert samples.start[1] - samples.intended[1] == 50 * MS
    assert len(samples.dropped) == 0


def test_a_stream_drops_all_but_the_newest_frame() -> None:
    samples, analyzer = run(scenario("stream", seconds=1.0, rate=10), [350.0, 30.0])
    assert list(samples.dropped) == [100 * MS, 200 * MS]
    assert list(samples.intended[:3]) == [0, 300 * MS, 400 * MS]
    assert list(samples.latency[:3]) == [350 * MS, 80 * MS, 30 * MS]
    assert analyzer.seen[:3] == [0, 0, 1], "a dropped frame's turn is over"
    assert len(samples.intended) + len(samples.dropped) == 10


def test_a_stream_that_cannot_keep_up_drops_and_ends() -> None:
    samples, _ = run(scenario("stream", seconds=2.0, rate=100), [35.0])
    assert len(samples.intended) + len(samples.dropped) == 200
    assert len(samples.intended) == pytest.approx(2000 / 35, abs=2)
    assert samples.latency.max() <= 45 * MS


def test_a_late_wakening_is_part_of_the_latency() -> None:
    samples, _ = run(scenario("stream", seconds=1.0, rate=10), [30.0], late=2 * MS)
    assert list(samples.latency) == [32 * MS] * 10


@pytest.mark.parametrize("rate", [7.0, 29.97, 30.0, 59.94, 333.3])
def test_a_stream_offers_every_frame_once(rate: float) -> None:
    samples, _ = run(scenario("stream", seconds=10.0, rate=rate), [1.0, 2.0, 25.0, 1.0])
    period = 1e9 / rate
    offered = sorted([*samples.intended, *samples.dropped])
    assert offered == [round(number * period) for number in range(int(10e9 / period))]


def test_a_query_of_a_multistream_is_a_frame_of_each_stream() -> None:
    samples, analyzer = run(scenario("multistream", seconds=0.2, streams=4), [10.0])
    assert list(samples.latency) == [40 * MS] * 5
    assert samples.frames == 20 == len(analyzer.seen) == len(samples.stages["detect"])


def test_offline_keeps_the_end_of_each_frame() -> None:
    samples, _ = run(scenario("offline", seconds=0.1), [10.0])
    assert list(samples.end) == [10 * MS * n for n in range(1, 11)]
    assert samples.frames / samples.seconds == pytest.approx(100)


def test_watching_is_about_once_a_second() -> None:
    clock = FakeClock()
    told: list[float] = []
    made = scenario("single", seconds=3.5)
    run_scenario(FakeAnalyzer(clock, [10.0]), FRAMES, made, clock, Recorder(4), lambda s, n: told.append(s))
    assert told == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("name", ["single", "stream", "multistream", "offline"])
def test_every_scenario_drives_the_real_analyzer(name: ScenarioName, tiny_models: list[Path]) -> None:
    made = scenario(name, seconds=0.25)
    pictures = [tiny.squares(320, 240, (32, 64)), tiny.squares(320, 240)]
    with Analyzer("cpu", tiny_models, threads=1) as analyzer:
        frames = [Frame(picture) for picture in pictures]
        one_query(analyzer, frames, made)()
        samples = run_scenario(analyzer, frames, made, SystemClock(), Recorder(16))
    assert samples.frames >= 2
    assert (samples.latency > 0).all()
    assert {"detect", "face"} <= set(samples.stages)
    face = samples.stages["face"]
    assert (face[0::2] > 0).all(), "the first picture has a face"
    if name != "stream":
        assert (face[1::2] == -1).all(), "the second has none"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "single", "rate": 30.0}, "a frame rate is for the scenario stream, not for single"),
        (
            {"name": "stream", "streams": 2},
            "a number of streams is for the scenario multistream, not for stream",
        ),
        ({"name": "stream", "rate": 0.0}, "the frame rate must be above 0"),
        ({"name": "single", "seconds": -1.0}, "seconds must be above 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        scenario(**arguments)  # type: ignore[arg-type]


def test_no_frames_are_refused() -> None:
    clock = FakeClock()
    with pytest.raises(InputError, match="at least one frame"):
        run_scenario(FakeAnalyzer(clock, [1.0]), [], scenario("single"), clock, Recorder(1))


# Warm-up


def warmed(times: list[float], limit: float = 60.0) -> tuple[bool, int, list[float]]:
    """Return what a warm-up makes of queries that take these milliseconds, the last of them for ever."""
    clock = FakeClock()
    analyzer = FakeAnalyzer(clock, times)
    found = warm_up(lambda: analyzer(FRAMES[0]), clock, limit)
    return found.settled, found.queries, [window / MS for window in found.windows]


def test_a_steady_query_settles_after_two_windows() -> None:
    assert warmed([50.0]) == (True, 20, [50.0, 50.0])


def test_a_slow_start_is_waited_for() -> None:
    settled, _, windows = warmed([100.0] * 8 + [80.0] * 8 + [50.0])
    assert settled
    assert windows == [100.0, 80.0, 50.0, 50.0]


@pytest.mark.parametrize(("second", "settled"), [(51.0, True), (51.1, False)])
def test_windows_agree_within_two_percent(second: float, settled: bool) -> None:
    found, _, windows = warmed([50.0] * 10 + [second], limit=0.9)
    assert (found, windows) == (settled, [50.0, second])


def test_what_never_settles_ends_at_the_limit() -> None:
    settled, _, windows = warmed([10.0 + number for number in range(4000)], limit=20.0)
    assert not settled
    assert len(windows) > 10


def test_a_window_holds_some_queries_however_slow_they_are() -> None:
    assert warmed([1000.0])[1] == 16
