"""Where the time of a frame goes, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from vultus.bench.record import Scenario, Stage
from vultus.bench.samples import Samples, needed
from vultus.types import Frame, Result

__all__ = ["REST", "drawing_stage", "frame_milliseconds", "stages_of"]

REST = "rest"
"""What of a frame's time no stage holds: calls, waits and whatever runs between stages."""

TERMS: dict[str, Literal["H2D", "GPU compute", "D2H", "enqueue"]] = {
    "upload": "H2D",
    "letterbox": "GPU compute",
    "detect": "GPU compute",
    "align": "GPU compute",
    "face": "GPU compute",
    "more_faces": "GPU compute",
    "fetch": "D2H",
}
"""Stages of the device pipeline in the terms of trtexec."""

DRAWN = 32


def frame_milliseconds(samples: Samples, scenario: Scenario) -> float:
    """Return the mean time of a frame from its real start to its result; offline, the time between results."""
    if not samples.frames:
        return 0.0
    if scenario.name == "offline":
        return samples.seconds * 1e3 / samples.frames
    return float((samples.end - samples.start).sum()) / 1e6 / samples.frames


def stages_of(samples: Samples, scenario: Scenario, ran_on: Mapping[str, str]) -> tuple[Stage, ...]:
    """Return every stage that ran, and what of the frame's time none of them holds.

    ran_on: of a result; the device pipeline times its stages by events on the device, and only it has an upload.
    """
    on_device = "upload" in ran_on
    whole = frame_milliseconds(samples, scenario)
    stages = [
        _stage(name, column[column >= 0] / 1e6, whole * samples.frames, on_device)
        for name, column in samples.stages.items()
    ]
    rest = whole - sum(stage.mean_ms * stage.count for stage in stages) / max(samples.frames, 1)
    # Frames that overlap on the device have more stage time than wall time, and then there is no rest to tell.
    if whole > 0 and rest > 0:
        stages.append(Stage(REST, "host", samples.frames, rest, None, None, rest / whole))
    return tuple(stages)


def _stage(name: str, times: npt.NDArray[np.float64], whole: float, on_device: bool) -> Stage:
    p90 = float(np.percentile(times, 90)) if len(times) >= needed(0.9) else None
    share = float(times.sum()) / whole if whole else 0.0
    middle, mean, count = float(np.median(times)), float(times.mean()), len(times)
    if on_device:
        return Stage(name, "device", count, mean, middle, p90, share, TERMS.get(name))
    return Stage(name, "host", count, mean, middle, p90, share)


def drawing_stage(frames: Sequence[Frame], results: Sequence[Result]) -> Stage:
    """Return the time of drawing faces on their frames, which is no part of the latency: measured by itself."""
    from vultus.draw import draw_faces
    from vultus.preprocess import bgr_from_frame

    pictures = [bgr_from_frame(frame) for frame in frames]
    times = np.empty(max(DRAWN, len(frames)))
    for number in range(len(times)):
        at = number % len(frames)
        began = time.perf_counter_ns()
        draw_faces(pictures[at], results[at].faces)
        times[number] = (time.perf_counter_ns() - began) / 1e6
    return Stage("draw", "host", len(times), float(times.mean()), float(np.median(times)), None, None)
