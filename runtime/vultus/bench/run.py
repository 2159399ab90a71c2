"""One benchmark from beginning to end: what was asked for goes in, a record and its raw samples come out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from vultus.bench.beside import Beside, fingerprint_here
from vultus.bench.clock import SystemClock
from vultus.bench.footprint import ATTEMPTS, footprint
from vultus.bench.frames import Frames
from vultus.bench.leak import slope_of
from vultus.bench.locking import locked_clocks
from vultus.bench.origin import models_of, version_here
from vultus.bench.record import Arrays, Counts, Footprint, Golden, Record, Scenario
from vultus.bench.samples import Recorder, Samples, latency_of
from vultus.bench.scenarios import LENGTHS, one_query, run_scenario
from vultus.bench.stages import drawing_stage, stages_of
from vultus.bench.verdict import judge
from vultus.bench.warmup import WINDOW_QUERIES, WarmUp, warm_up
from vultus.pipeline import Analyzer
from vultus.types import FaceArray, Result
from vultus.zoo import default_models

__all__ = ["Request", "Say", "measure"]

WARMUP_LIMIT = {"quick": 15.0, "default": 60.0, "publish": 120.0, "custom": 30.0}
"""Seconds after which a warm-up that does not settle is given up."""

FEWER = 3
"""Queries of a window of the warm-up where each query is many frames."""

ROOM = 1.5
"""Times the queries that are expected which are made room for ahead of the run."""

Say = Callable[[str], None]
"""Is told in a few words what goes on, between queries."""


@dataclass(frozen=True)
class Request:
    """What to measure. models: files, the installed default ones for None. arguments: for the record."""

    scenario: Scenario
    frames: Frames
    device: str = "auto"
    models: Sequence[Path] | None = None
    threads: int | None = None
    lock_clocks: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class _Done:
    """What the measured part left."""

    samples: Samples
    warm: WarmUp
    golden: Golden
    results: list[Result]


def measure(request: Request, say: Say = lambda text: None) -> tuple[Record, Arrays]:
    """Run a benchmark. Raises InputError, DeviceError, ModelError or SpecError when it cannot be run as asked for."""
    with locked_clocks() if request.lock_clocks else nullcontext("not locked") as how:
        # The analyzer is made first: a request that cannot be met shall fail before anything takes time.
        with Analyzer(request.device, request.models, threads=request.threads) as analyzer:
            say("starting fresh processes for the footprint")
            attempts = ATTEMPTS if request.scenario.seconds >= LENGTHS["quick"] else 1
            taken = footprint(request.device, request.models, request.threads, attempts)
            done, beside = _driven(request, analyzer, say)
        say("writing down what was found")
        return _recorded(request, done, beside, taken, how)


def _driven(request: Request, analyzer: Analyzer, say: Say) -> tuple[_Done, Beside]:
    frames, scenario, clock = request.frames.frames, request.scenario, SystemClock()
    say("warming up")
    results = [analyzer(frame) for frame in frames]
    before = _digest([result.faces for result in results])
    least = WINDOW_QUERIES if scenario.name in ("single", "stream") else FEWER
    query = one_query(analyzer, frames, scenario)
    warm = warm_up(query, clock, WARMUP_LIMIT[scenario.length], least)
    recorder = _recorder(scenario, warm, results)

    def watch(seconds: float, count: int) -> None:
        say(f"measuring: {seconds:.0f} of {scenario.seconds:g} s, {count} samples")

    watch(0.0, 0)
    with Beside() as beside:
        beside.begin()
        samples = run_scenario(analyzer, frames, scenario, clock, recorder, watch)
        beside.end()
    after = _digest([analyzer(frame).faces for frame in frames])
    return _Done(samples, warm, Golden(before, after), results), beside


def _recorder(scenario: Scenario, warm: WarmUp, results: Sequence[Result]) -> Recorder:
    """Return columns with room for all queries and frames that are to be expected, stages known ones."""
    query = max(min(warm.windows), 1) / 1e9
    expected = scenario.seconds / query * (scenario.streams if scenario.name == "multistream" else 1)
    if scenario.name == "offline":
        expected *= max(len(results), 8)
    if scenario.rate is not None:
        expected = min(expected, scenario.seconds * scenario.rate)
    recorder = Recorder(int(expected * ROOM) + 64)
    for result in results:
        recorder.expect(result.milliseconds)
    return recorder


def _recorded(
    request: Request, done: _Done, beside: Beside, taken: Footprint, clocks: str
) -> tuple[Record, Arrays]:
    scenario, samples = request.scenario, done.samples
    counts = _counts(scenario, samples, done.warm)
    ran_on = {name: place for result in done.results for name, place in result.ran_on.items()}
    found = sum(len(result.faces) for result in done.results)
    times, values = beside.memory
    record = Record(
        version=version_here(),
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        arguments={**request.arguments, "clocks": clocks},
        scenario=scenario,
        fingerprint=fingerprint_here(),
        models=models_of(list(request.models or default_models()), ran_on),
        input=request.frames.described(found),
        counts=counts,
        latency=None if scenario.name == "offline" else latency_of(samples.latency),
        throughput=samples.frames / samples.seconds,
        stages=(
            *stages_of(samples, scenario, ran_on),
            drawing_stage(request.frames.frames, done.results),
        ),
        footprint=replace(taken, leak=slope_of(times, values, samples.frames)),
        telemetry=beside.telemetry(samples.frames, "nvml" if "upload" in ran_on else "rapl"),
        golden=done.golden,
        verdict=judge(scenario, counts, done.golden, beside.events, beside.other_share),
        note=request.note,
    )
    windows = np.array(done.warm.windows, np.int64)
    return record, {**samples.arrays(), "rss_ns": times, "rss_bytes": values, "windows_ns": windows}


def _counts(scenario: Scenario, samples: Samples, warm: WarmUp) -> Counts:
    offered = len(samples.intended) + len(samples.dropped) if scenario.name == "stream" else None
    return Counts(
        samples=len(samples.end),
        frames=samples.frames,
        seconds=samples.seconds,
        warmup=warm.queries,
        warmup_seconds=warm.seconds,
        settled=warm.settled,
        offered=offered,
        dropped=None if offered is None else len(samples.dropped),
    )


def _digest(faces: Sequence[FaceArray]) -> str:
    """Return the SHA-256 of FACE records, frame by frame."""
    digest = hashlib.sha256()
    for records in faces:
        digest.update(len(records).to_bytes(4, "little"))
        digest.update(np.ascontiguousarray(records).tobytes())
    return digest.hexdigest()
