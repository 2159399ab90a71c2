"""The benchmark's loops over the device pipeline, for the fake driver."""

from __future__ import annotations

import numpy as np

from fake_device import crowd, nothing_left, tiny_models
from vultus import Analyzer
from vultus.bench.clock import SystemClock
from vultus.bench.record import ScenarioName
from vultus.bench.samples import Recorder
from vultus.bench.scenarios import one_query, run_scenario, scenario
from vultus.bench.stages import stages_of
from vultus.types import Frame

__all__ = ["loops"]

NAMES: tuple[ScenarioName, ...] = ("single", "stream", "multistream", "offline")


def loops() -> None:
    """Run every scenario: each frame is analysed once, its stages are the device's."""
    frames = [Frame(crowd(3), index=0), Frame(crowd(0), index=1)]
    with tiny_models() as models, Analyzer("cuda", models) as device:
        ran_on = device(frames[0]).ran_on
        for name in NAMES:
            made = scenario(name, seconds=0.4)
            one_query(device, frames, made)()
            samples = run_scenario(device, frames, made, SystemClock(), Recorder(8))
            assert samples.frames == len(samples.end) * made.streams >= 2, name
            assert (samples.latency > 0).all(), name
            assert (np.diff(samples.end) > 0).all(), name
            stages = {stage.name: stage for stage in stages_of(samples, made, ran_on)}
            assert stages["upload"].term == "H2D", name
            assert stages["detect"].term == "GPU compute", name
            assert stages["fetch"].term == "D2H", name
            assert {stage.where for stage in stages.values() if stage.name != "rest"} == {"device"}, name
            assert all(
                stage.count == samples.frames for stage in stages.values() if stage.name == "detect"
            ), name
    nothing_left()
