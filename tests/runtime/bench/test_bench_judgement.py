"""Stages and their shares, other load, and the verdict with its reasons."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench_records import record
from vultus.bench.load import Load, load_now, other_share, peak_resident
from vultus.bench.record import Counts, Event, Golden
from vultus.bench.samples import Recorder, Samples
from vultus.bench.scenarios import scenario
from vultus.bench.stages import REST, drawing_stage, stages_of
from vultus.bench.verdict import judge
from vultus.telemetry.load import rss
from vultus.types import Frame, Result, empty_faces

MS = 1_000_000
SAME = Golden("a" * 64, "a" * 64)


def samples(count: int = 100) -> Samples:
    """Return queries of 10 ms that waited 5 ms before: 6 ms detection, and 2 ms alignment in every second."""
    recorder = Recorder(count)
    for number in range(count):
        start = number * 20 * MS
        recorder.query(start - 5 * MS, start, start + 10 * MS)
        recorder.frame({"detect": 6.0} | ({"align": 2.0} if number % 2 else {}))
    return recorder.samples(2.0)


def test_stages_and_what_none_of_them_holds() -> None:
    detect, align, rest = stages_of(samples(), scenario("single"), {"detect": "CPU"})
    assert (detect.name, detect.where, detect.count) == ("detect", "host", 100)
    assert detect.share == pytest.approx(0.6)
    assert (detect.p50_ms, detect.p90_ms, detect.term) == (6.0, 6.0, None)
    assert (align.count, align.mean_ms, align.p90_ms) == (50, 2.0, None)
    assert align.share == pytest.approx(0.1)
    assert rest.name == REST
    assert rest.share == pytest.approx(0.3)
    assert rest.mean_ms == pytest.approx(3.0)
    assert (rest.p50_ms, rest.p90_ms) == (None, None), "of what is left over only the mean is known"


def test_the_devices_stages_carry_trtexecs_terms() -> None:
    recorder = Recorder(4)
    recorder.query(0, 0, 10 * MS)
    recorder.frame({"upload": 1.0, "letterbox": 1.0, "detect": 3.0, "fetch": 0.5})
    stages = stages_of(
        recorder.samples(1.0), scenario("single"), {"upload": "page-locked copy", "detect": "GPU"}
    )
    assert [(stage.name, stage.where, stage.term) for stage in stages] == [
        ("upload", "device", "H2D"),
        ("letterbox", "device", "GPU compute"),
        ("detect", "device", "GPU compute"),
        ("fetch", "device", "D2H"),
        (REST, "host", None),
    ]


def test_overlapping_frames_have_no_rest() -> None:
    made = scenario("offline", seconds=1.0)
    recorder = Recorder(4)
    for end in (5, 10):
        recorder.query(0, 0, end * MS)
        recorder.frame({"detect": 8.0})
    assert [stage.name for stage in stages_of(recorder.samples(0.01), made, {})] == ["detect"]


def test_no_samples_give_no_stages() -> None:
    assert stages_of(Recorder(1).samples(1.0), scenario("single"), {}) == ()


def test_drawing_is_timed_beside_the_latency() -> None:
    frame = Frame(np.zeros((48, 64, 3), np.uint8))
    stage = drawing_stage([frame], [Result(0, 0.0, empty_faces())])
    assert (stage.name, stage.share) == ("draw", None)
    assert stage.mean_ms > 0


# Other load


@pytest.mark.parametrize(
    ("busy", "own", "share"), [(100, 100, 0.0), (100, 40, 0.3), (200, 0, 1.0), (10, 60, 0.0)]
)
def test_the_share_of_others(busy: float, own: float, share: float) -> None:
    before = Load(1000, 5000, 10)
    after = Load(1000 + busy, 5000 + 200, 10 + own)
    assert other_share(before, after) == pytest.approx(share)


def test_what_the_system_does_not_tell_is_not_known(tmp_path: Path) -> None:
    assert load_now(tmp_path) is None
    (tmp_path / "stat").write_text("cpu  1 2\n")
    assert load_now(tmp_path) is None
    assert other_share(None, Load(1, 2, 3)) is None
    assert other_share(Load(1, 2, 3), Load(1, 2, 3)) is None


def test_proc_stat_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  10 20 30 400 50 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    found = load_now(tmp_path)
    assert found is not None
    assert (found.busy, found.total) == (81, 531)


BURN = "import time\nwhile time.process_time() < 0.4: pass"


def ticks_of(work: Callable[[], object]) -> tuple[float, float]:
    """Return what a piece of work took of the processor, in ticks: by this process, by others."""
    before = load_now()
    work()
    after = load_now()
    share = other_share(before, after)
    assert before is not None
    assert after is not None
    assert share is not None
    return after.own - before.own, share * (after.total - before.total)


def test_load_of_another_process_is_seen_and_ones_own_is_not() -> None:
    process = subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE)
    assert process.stdout is not None
    own, others = ticks_of(process.stdout.read)  # ends when the process does, which is not waited for yet
    assert own <= 10, "ticks of a hundredth of a second"
    assert others >= 30
    process.stdout.close()
    before = load_now()
    process.wait()
    after = load_now()
    assert before is not None
    assert after is not None
    assert after.own - before.own >= 30, "a process that was waited for is this one's own work"


def test_memory_of_this_process() -> None:
    now, peak = rss(), peak_resident()
    assert now is not None
    assert peak is not None
    assert 10 * 2**20 < now <= peak


def test_memory_of_another_process() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        other, own = peak_resident(process.pid), peak_resident()
        process.communicate(b"\n")
    assert other is not None
    assert own is not None
    assert 2**20 < other < own, "it has imported nothing, and this one has"
    assert peak_resident(process.pid) is None, "it is gone"


# The verdict

COUNTS = Counts(64, 64, 5.0, 20, 1.0, True)


def test_a_clean_run_is_valid() -> None:
    verdict = judge(scenario("single"), COUNTS, SAME, (), 0.05)
    assert verdict.valid
    assert verdict.reasons == ()
    assert judge(scenario("single"), COUNTS, SAME, (), None).valid


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"counts": replace(COUNTS, samples=63)}, "too few samples: 63, p90 takes 64; measure longer"),
        (
            {"counts": replace(COUNTS, samples=197, offered=200, dropped=3)},
            "too many frames were dropped: 3 of 200, 1% is the limit; lower --rate",
        ),
        ({"counts": replace(COUNTS, settled=False)}, "the warm-up did not settle: after 1 s"),
        ({"golden": Golden("a" * 64, "b" * 64)}, "gave other results after the run than before"),
        ({"other": 0.051}, "other load was seen: other programs took 5% of the processor"),
        (
            {"events": (Event("throttle", "cpu-thermal", 3),)},
            "the machine was throttled: cpu-thermal (3 times)",
        ),
        ({"events": (Event("over_current", "oc1, under-voltage", 1),)}, "oc1, under-voltage (once)"),
        ({"events": (Event("clock", "the limits of policy0", 1),)}, "clocks changed during the run"),
        ({"events": (Event("governor", "policy0 from a to b", 1),)}, "the governor changed during the run"),
        (
            {"events": (Event("power_mode", "15W to MAXN", 1),)},
            "the power mode changed during the run: 15W to MAXN",
        ),
    ],
)
def test_every_reason_is_given(changes: dict[str, object], said: str) -> None:
    facts: dict[str, object] = {"counts": COUNTS, "golden": SAME, "events": (), "other": 0.0, **changes}
    verdict = judge(scenario("single"), **facts)  # type: ignore[arg-type]
    assert not verdict.valid
    assert len(verdict.reasons) == 1
    assert said in verdict.reasons[0]


def test_a_multistream_takes_the_samples_of_a_p99() -> None:
    assert "p99 takes 662" in judge(scenario("multistream"), replace(COUNTS, samples=661), SAME).reasons[0]
    assert judge(scenario("multistream"), replace(COUNTS, samples=662), SAME).valid


@pytest.mark.parametrize(("offered", "dropped"), [(200, 2), (200, 0), (None, None)])
def test_a_stream_may_drop_one_frame_in_a_hundred(offered: int | None, dropped: int | None) -> None:
    assert judge(scenario("stream"), replace(COUNTS, offered=offered, dropped=dropped), SAME).valid


def test_all_reasons_come_together() -> None:
    counts = replace(COUNTS, samples=1, settled=False)
    events = (Event("throttle", "a", 1), Event("clock", "b", 1))
    verdict = judge(scenario("single"), counts, Golden("a", "b"), events, 0.5)
    assert len(verdict.reasons) == 6
    assert record().verdict.valid is False
