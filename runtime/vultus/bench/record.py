"""What a benchmark run leaves behind: one frozen tree that says everything of itself, and its raw samples.

A record is two files, NAME.json and NAME.npz beside it. The JSON names the SHA-256 of the samples, so a pair that
does not belong together is seen; `vultus.bench.files` reads and writes both. Inside, records are plain frozen
dataclasses. None stands for what was not measured or is not known, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "SCHEMA",
    "Arrays",
    "Counts",
    "Curve",
    "Energy",
    "Event",
    "Footprint",
    "Golden",
    "Input",
    "Latency",
    "Model",
    "Package",
    "Percentile",
    "Rail",
    "Record",
    "Scenario",
    "ScenarioName",
    "Slope",
    "Stage",
    "Telemetry",
    "Verdict",
    "Version",
]

SCHEMA = 1

ScenarioName = Literal["single", "stream", "multistream", "offline"]

Arrays = dict[str, npt.NDArray[np.int64]]
"""Raw samples by name, all int64 and one-dimensional; times in ns since the measured part of the run began.

intended_ns, start_ns, end_ns: of each query, in order; its latency is end - intended. An offline run has the end of
each frame alone. dropped_ns: intended times of frames that were never analysed (stream). rss_ns, rss_bytes: resident
memory through the run. stage/NAME: ns that a stage took in each frame, -1 where it did not run. windows_ns: median
time of a query in each window of the warm-up.
"""


@dataclass(frozen=True)
class Version:
    """Which code ran. commit, dirty: None outside of a clone of the repository."""

    vultus: str
    commit: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True)
class Scenario:
    """How frames were offered, after MLPerf Inference (Reddi et al. 2020).

    length: "quick", "default" or "publish", "custom" for any other number of seconds. rate: frames a second that a
    stream offers. streams: frames that make one query of a multistream. headline: the figure that the scenario is
    read by, "p90", "p99" or "throughput".
    """

    name: ScenarioName
    length: Literal["quick", "default", "publish", "custom"]
    seconds: float
    headline: Literal["p90", "p99", "throughput"]
    rate: float | None = None
    streams: int = 1


@dataclass(frozen=True)
class Model:
    """One model file that ran. file: its name without folders. engine_key: of a TensorRT engine."""

    task: str
    name: str
    version: str
    precision: str
    file: str
    sha256: str
    ran_on: str
    engine_key: str | None = None


@dataclass(frozen=True)
class Input:
    """What was analysed. kind: where frames came from. name: for people, without folders.

    faces: copies of the portrait in a synthetic frame. found: faces that the models find in all frames together.
    frames: different frames that took turns. sha256: of their formats, shapes and pixels in order.
    """

    kind: Literal["synthetic", "picture", "folder", "video"]
    name: str
    width: int
    height: int
    format: str
    frames: int
    sha256: str
    found: int
    faces: int | None = None


@dataclass(frozen=True)
class Counts:
    """How much was measured. samples: queries whose latency counts; frames: pictures analysed in them.

    offered: frames that a stream offered. dropped: those of them that were never analysed. seconds: wall time of the
    measured part. warmup: queries before it, in warmup_seconds; settled: whether two windows came to agree.
    """

    samples: int
    frames: int
    seconds: float
    warmup: int
    warmup_seconds: float
    settled: bool
    offered: int | None = None
    dropped: int | None = None


@dataclass(frozen=True)
class Percentile:
    """A percentile of the latency, or None where the samples are too few for it.

    share: such as 0.9. needed: samples that it takes. upper_ms: the true percentile lies at or below this with 99 %
    confidence (early stopping of MLPerf Inference).
    """

    share: float
    needed: int
    ms: float | None = None
    upper_ms: float | None = None


@dataclass(frozen=True)
class Latency:
    """Latency of a query: from its intended start to its result. An offline run has none."""

    mean_ms: float
    std_ms: float
    min_ms: float
    max_ms: float
    percentiles: tuple[Percentile, ...]

    def at(self, share: float) -> float | None:
        """Return the percentile in milliseconds, None where it is not known."""
        return next((found.ms for found in self.percentiles if abs(found.share - share) < 1e-9), None)


@dataclass(frozen=True)
class Stage:
    """Time of one stage of a frame. where: whose clock timed it. term: trtexec's word for it, if it has one.

    count: frames that it ran in. share: of the mean time of a frame, None for work beside it, such as drawing.
    p50_ms: None where the single frames are not known, as of what is left over.
    """

    name: str
    where: Literal["host", "device"]
    count: int
    mean_ms: float
    p50_ms: float | None
    p90_ms: float | None
    share: float | None
    term: Literal["H2D", "GPU compute", "D2H", "enqueue"] | None = None


@dataclass(frozen=True)
class Slope:
    """Growth of resident memory through the run with its 95 % confidence interval, in bytes a second and a frame."""

    bytes_per_second: float
    low: float
    high: float
    bytes_per_frame: float
    points: int

    @property
    def leaks(self) -> bool:
        """Tell whether the interval lies above 0."""
        return self.low > 0


@dataclass(frozen=True)
class Package:
    """An installed distribution that vultus needs to run, with its size in bytes."""

    name: str
    version: str
    size: int


@dataclass(frozen=True)
class Footprint:
    """What vultus takes: seconds, bytes. Import and first frame are the best of several fresh processes.

    first_frame_s: from the start of the process to the first result. rss: of this process in the steady part and at
    its peak (VmHWM). gpu_bytes: device memory that the run holds.
    """

    import_s: float | None = None
    first_frame_s: float | None = None
    rss_steady: int | None = None
    rss_peak: int | None = None
    gpu_bytes: int | None = None
    packages: tuple[Package, ...] = ()
    leak: Slope | None = None

    @property
    def installed(self) -> int:
        """Return the size of all packages in bytes."""
        return sum(package.size for package in self.packages)


@dataclass(frozen=True)
class Curve:
    """A reading through the run. times_s: seconds since the measured part began; values: in `unit`."""

    name: str
    unit: str
    times_s: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Rail:
    """A power rail through the run. scope: what it carries. board: whether all other rails are part of it."""

    name: str
    source: str
    joules: float
    mean_watts: float
    peak_watts: float | None
    board: bool = False
    scope: Literal["board", "module", "part"] = "part"


@dataclass(frozen=True)
class Energy:
    """Energy of one frame in joules, by integrating the rail that is named."""

    rail: str
    joules_per_frame: float


@dataclass(frozen=True)
class Event:
    """Something that happened `count` times in the run, such as throttling. kind: for programs."""

    kind: Literal["throttle", "over_current", "clock", "governor", "power_mode"]
    name: str
    count: int


@dataclass(frozen=True)
class Telemetry:
    """What was read beside the run. unread: what could not be, with the reason."""

    rails: tuple[Rail, ...] = ()
    energy: Energy | None = None
    temperatures: tuple[Curve, ...] = ()
    power: tuple[Curve, ...] = ()
    clocks: tuple[Curve, ...] = ()
    events: tuple[Event, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Golden:
    """SHA-256 of the FACE records of all frames, before and after the run."""

    before: str
    after: str


@dataclass(frozen=True)
class Verdict:
    """Whether the figures may be quoted, and every reason why not."""

    valid: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One run.

    created: UTC, ISO 8601. arguments: as the command took them. fingerprint: the machine, the fields of
    `vultus.telemetry.fingerprint`; no names of hosts, users or folders. throughput: frames a second.
    note: what whoever measured wants read beside the figures. samples_sha256: of the npz beside the JSON.
    """

    version: Version
    created: str
    arguments: dict[str, Any]
    scenario: Scenario
    fingerprint: dict[str, Any]
    models: tuple[Model, ...]
    input: Input
    counts: Counts
    latency: Latency | None
    throughput: float
    stages: tuple[Stage, ...]
    footprint: Footprint
    telemetry: Telemetry
    golden: Golden
    verdict: Verdict
    note: str = ""
    samples_sha256: str = ""
    schema: int = SCHEMA
