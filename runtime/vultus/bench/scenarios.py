"""How frames are offered: single, stream, multistream and offline, after MLPerf Inference (Reddi et al. 2020).

single: the next frame as soon as the last one is done. stream: an open loop; frames come at a fixed rate whether or
not anybody is ready, as from a camera, so the latency is counted from the intended time of the frame and waiting is
not hidden (coordinated omission). A camera keeps nothing: of the frames that came while one was analysed only the
newest is taken, the others are dropped and counted. multistream: a query is one frame of each of N streams. offline:
all frames are there, only throughput counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from vultus.bench.clock import Clock
from vultus.bench.record import Scenario, ScenarioName
from vultus.bench.samples import Recorder, Samples
from vultus.errors import InputError
from vultus.types import Frame, Result

__all__ = ["LENGTHS", "Analyse", "Watch", "one_query", "run_scenario", "scenario"]

LENGTHS: dict[Literal["quick", "default", "publish"], float] = {
    "quick": 5.0,
    "default": 60.0,
    "publish": 600.0,
}
HEADLINES: dict[ScenarioName, Literal["p90", "p99", "throughput"]] = {
    "single": "p90",
    "stream": "p90",
    "multistream": "p99",
    "offline": "throughput",
}
RATE = 30.0
STREAMS = 8
WATCH_EVERY = 1_000_000_000

Watch = Callable[[float, int], None]
"""Is told, about once a second and between queries, the seconds that have passed and the queries that are done."""


class Analyse(Protocol):
    """What a scenario drives: an Analyzer."""

    def __call__(self, picture: Frame) -> Result:
        """Return the result of one frame."""
        ...

    def stream(self, pictures: Iterable[Frame]) -> Iterator[Result]:
        """Yield the result of each frame."""
        ...


def scenario(
    name: ScenarioName,
    length: Literal["quick", "default", "publish"] = "default",
    seconds: float | None = None,
    rate: float | None = None,
    streams: int | None = None,
) -> Scenario:
    """Return a scenario. seconds: in place of those of the length. Raises InputError for what does not fit together."""
    if rate is not None and name != "stream":
        raise InputError(f"a frame rate is for the scenario stream, not for {name}; leave it out")
    if streams is not None and name != "multistream":
        raise InputError(f"a number of streams is for the scenario multistream, not for {name}; leave it out")
    for what, value in (("seconds", seconds), ("the frame rate", rate), ("the number of streams", streams)):
        if value is not None and not 0 < value < 1e6:
            raise InputError(f"{what} must be above 0 and below a million; got {value:g}")
    made = Scenario(name, length, LENGTHS[length], HEADLINES[name])
    if seconds is not None:
        made = replace(made, length="custom", seconds=seconds)
    if name == "stream":
        made = replace(made, rate=rate or RATE)
    return replace(made, streams=streams or STREAMS) if name == "multistream" else made


def one_query(analyse: Analyse, frames: Sequence[Frame], scenario: Scenario) -> Callable[[], object]:
    """Return what runs one query after the other, for the warm-up: the frames take turns."""
    turns = _in_turn(frames)
    if scenario.name in ("single", "stream"):
        return lambda: analyse(next(turns))
    size = scenario.streams if scenario.name == "multistream" else max(len(frames), 8)
    return lambda: sum(1 for _ in analyse.stream([next(turns) for _ in range(size)]))


def run_scenario(
    analyse: Analyse,
    frames: Sequence[Frame],
    scenario: Scenario,
    clock: Clock,
    recorder: Recorder,
    watch: Watch = lambda seconds, count: None,
) -> Samples:
    """Offer frames for the seconds of the scenario and return the samples; what has begun is finished."""
    run = _Run(analyse, _in_turn(frames), scenario, clock, recorder, watch)
    loops = {
        "single": run.single,
        "stream": run.stream,
        "multistream": run.multistream,
        "offline": run.offline,
    }
    loops[scenario.name]()
    return recorder.samples((clock.now() - run.began) / 1e9)


@dataclass
class _Run:
    analyse: Analyse
    turns: Iterator[Frame]
    scenario: Scenario
    clock: Clock
    recorder: Recorder
    watch: Watch

    def __post_init__(self) -> None:
        self.began = self.clock.now()
        self._watched = 0
        self._limit = round(self.scenario.seconds * 1e9)

    def single(self) -> None:
        start = self._now()
        while start < self._limit:
            result = self.analyse(next(self.turns))
            end = self._now()
            self.recorder.query(start, start, end)
            self.recorder.frame(result.milliseconds)
            self._tell(end)
            start = self._now()

    def stream(self) -> None:
        period = 1e9 / (self.scenario.rate or RATE)
        frames = int(self._limit / period)
        number = 0
        while number < frames:
            self.clock.wait_until(self.began + round(number * period))
            newest = min(int(self._now() / period), frames - 1)
            # Rounding may leave the clock a nanosecond short of the frame that it waited for.
            for missed in range(number, newest):
                self.recorder.drop(round(missed * period))
                next(self.turns)
            number = max(newest, number)
            start = self._now()
            result = self.analyse(next(self.turns))
            end = self._now()
            self.recorder.query(round(number * period), start, end)
            self.recorder.frame(result.milliseconds)
            self._tell(end)
            number += 1

    def multistream(self) -> None:
        start = self._now()
        while start < self._limit:
            query = [next(self.turns) for _ in range(self.scenario.streams)]
            start = self._now()
            results = list(self.analyse.stream(query))
            end = self._now()
            self.recorder.query(start, start, end)
            for result in results:
                self.recorder.frame(result.milliseconds)
            self._tell(end)
            start = self._now()

    def offline(self) -> None:
        for result in self.analyse.stream(self._until_the_end()):
            end = self._now()
            self.recorder.query(0, 0, end)
            self.recorder.frame(result.milliseconds)
            self._tell(end)

    def _until_the_end(self) -> Iterator[Frame]:
        while self._now() < self._limit:
            yield next(self.turns)

    def _now(self) -> int:
        return self.clock.now() - self.began

    def _tell(self, now: int) -> None:
        if now - self._watched >= WATCH_EVERY:
            self._watched = now
            self.watch(now / 1e9, self.recorder.count)


def _in_turn(frames: Sequence[Frame]) -> Iterator[Frame]:
    if not frames:
        raise InputError("a benchmark needs at least one frame")
    while True:
        yield from frames
