"""A benchmark record with something in every field, for tests of what reads and writes records."""

from __future__ import annotations

import numpy as np

from vultus.bench.record import (
    Arrays,
    Counts,
    Curve,
    Energy,
    Event,
    Footprint,
    Golden,
    Input,
    Latency,
    Model,
    Package,
    Percentile,
    Rail,
    Record,
    Scenario,
    Slope,
    Stage,
    Telemetry,
    Verdict,
    Version,
)

MODEL = Model("detector", "tiny-detector", "1.0.0", "fp32", "tiny.onnx", "a" * 64, "ONNX Runtime CPU")


def record() -> Record:
    """Return a record whose figures are made up."""
    return Record(
        version=Version("0.1.0", "c" * 40, False),
        created="2026-01-02T03:04:05Z",
        arguments={"scenario": "single", "faces": 1, "device": "cpu", "threads": None},
        scenario=Scenario("single", "quick", 5.0, "p90"),
        fingerprint={"cpu": "a processor", "cores": [0, 1], "governor": None},
        models=(MODEL,),
        input=Input("synthetic", "1 face", 640, 480, "BGR", 1, "b" * 64, 1, 1),
        counts=Counts(100, 100, 5.0, 20, 1.0, True),
        latency=latency(),
        throughput=20.0,
        stages=(
            Stage("detect", "host", 100, 40.0, 40.0, 42.0, 0.8),
            Stage("align", "host", 1, 9.0, 9.0, None, 0.2),
        ),
        footprint=Footprint(
            0.2, 0.4, 10**8, 2 * 10**8, None, (Package("numpy", "2.0", 5000),), Slope(3.0, -1.0, 7.0, 0.2, 50)
        ),
        telemetry=telemetry(),
        golden=Golden("d" * 64, "d" * 64),
        verdict=Verdict(False, ("too few samples for p99",)),
        note="made up",
    )


def latency() -> Latency:
    """Return the latency of a hundred samples: enough for a p90, too few for a p99."""
    shares = (Percentile(0.5, 11, 50.0, 51.0), Percentile(0.9, 64, 60.0, 69.0), Percentile(0.99, 662))
    return Latency(51.0, 5.0, 40.0, 70.0, shares)


def telemetry() -> Telemetry:
    """Return readings of a board with one rail."""
    return Telemetry(
        rails=(Rail("VDD_IN", "ina3221", 35.0, 7.0, 9.0, True),),
        energy=Energy("VDD_IN", 0.35),
        temperatures=(Curve("cpu-thermal", "C", (0.0, 1.0), (50.0, 51.5)),),
        power=(Curve("VDD_IN", "W", (0.0, 1.0), (7.0, 7.5)),),
        clocks=(Curve("cpu0", "MHz", (0.0, 1.0), (1500.0, 1500.0)),),
        events=(Event("throttle", "soc throttle", 2),),
        unread={"gpu": "there is none"},
    )


def samples() -> Arrays:
    """Return raw samples."""
    end = np.arange(1, 101, dtype=np.int64) * 50_000_000
    return {
        "intended_ns": end - 50_000_000,
        "start_ns": end - 50_000_000,
        "end_ns": end,
        "stage/detect": end * 0 + 7,
    }
