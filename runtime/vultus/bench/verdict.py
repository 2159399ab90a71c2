"""May the figures be quoted? Every reason why not, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vultus.bench.record import Counts, Event, Golden, Scenario, Verdict
from vultus.bench.samples import needed
from vultus.bench.warmup import AGREEMENT

__all__ = ["DROPPED", "OTHER_LOAD", "judge"]

DROPPED = 0.01
"""Share of a stream's frames that may be dropped: MLPerf Inference let 1 % of the queries of frames at a fixed rate
miss their interval (Reddi et al. 2020). Beyond it the latency is that of the frames that were spared the wait."""

OTHER_LOAD = 0.05
"""Share of the processor that others may take."""

SHARES = {"p90": 0.9, "p99": 0.99, "throughput": 0.9}
"""The percentile whose count a headline takes; a throughput is held to that of p90."""

SAID = {
    "throttle": "the machine was throttled",
    "over_current": "the board's supply gave too little or too much",
    "clock": "clocks changed during the run",
    "governor": "the governor changed during the run",
    "power_mode": "the power mode changed during the run",
}


def judge(
    scenario: Scenario,
    counts: Counts,
    golden: Golden,
    events: Sequence[Event] = (),
    other: float | None = None,
) -> Verdict:
    """Return whether a run is valid. other: share of the processor that others took, None when not known."""
    reasons = tuple(_reasons(scenario, counts, golden, events, other))
    return Verdict(not reasons, reasons)


def _reasons(
    scenario: Scenario, counts: Counts, golden: Golden, events: Sequence[Event], other: float | None
) -> Iterator[str]:
    yield from _of_counts(scenario, counts)
    if golden.before != golden.after:
        yield "the same frames gave other results after the run than before; run: vultus selftest"
    if other is not None and other > OTHER_LOAD:
        yield (
            f"other load was seen: other programs took {other:.0%} of the processor, {OTHER_LOAD:.0%} is the limit; "
            "end them"
        )
    for event in events:
        times = "once" if event.count == 1 else f"{event.count} times"
        yield f"{SAID[event.kind]}: {event.name} ({times})"


def _of_counts(scenario: Scenario, counts: Counts) -> Iterator[str]:
    least = needed(SHARES[scenario.headline])
    if counts.samples < least:
        yield f"too few samples: {counts.samples}, {scenario.headline} takes {least}; measure longer"
    offered, dropped = counts.offered or 0, counts.dropped or 0
    if dropped > DROPPED * offered:
        yield (
            f"too many frames were dropped: {dropped} of {offered}, {DROPPED:.0%} is the limit; lower --rate to what "
            "this machine keeps up with"
        )
    if not counts.settled:
        yield (
            f"the warm-up did not settle: after {counts.warmup_seconds:.0f} s two windows in a row still differed by "
            f"more than {AGREEMENT:.0%}"
        )
