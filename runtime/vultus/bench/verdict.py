"""May the figures be quoted? Every reason why not, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vultus.bench.record import Counts, Event, Golden, Scenario, Verdict
from vultus.bench.samples import needed
from vultus.bench.warmup import AGREEMENT

__all__ = ["OTHER_LOAD", "judge"]

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
    least = needed(SHARES[scenario.headline])
    if counts.samples < least:
        yield f"too few samples: {counts.samples}, {scenario.headline} takes {least}; measure longer"
    if not counts.settled:
        yield (
            f"the warm-up did not settle: after {counts.warmup_seconds:.0f} s two windows in a row still differed by "
            f"more than {AGREEMENT:.0%}"
        )
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
