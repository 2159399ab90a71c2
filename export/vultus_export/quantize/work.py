"""Calibration runs the runtime: pictures go through its own stages, with an engine that looks on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vultus.engines import Engine, Tensors
from vultus.errors import InputError
from vultus.spec import ModelSpec
from vultus.stages import DetectorStage, FaceStage
from vultus.stopwatch import Stopwatch
from vultus.types import ATTRIBUTES, FaceArray
from vultus_export.inputs import read_picture
from vultus_export.runners import Runner

__all__ = ["DetectorWork", "FaceWork", "RunnerEngine", "Tick", "Work", "no_tick", "work_of"]

Tick = Callable[[str, int, int], None]
"""Called with what is being done, how many of it are done and how many there are."""


def no_tick(what: str, done: int, total: int) -> None:
    """Report nothing."""


class RunnerEngine:
    """A runner as an engine of the runtime."""

    device = "ONNX Runtime on the CPU, for calibration"

    def __init__(self, spec: ModelSpec, run: Runner) -> None:
        self.spec = spec
        self._run = run

    def __call__(self, batch: npt.NDArray[np.float32]) -> Tensors:
        """Run a batch; the arrays are the caller's."""
        return self._run(np.ascontiguousarray(batch))

    def close(self) -> None:
        """Do nothing; the runner is freed with its last user."""

    def __enter__(self) -> RunnerEngine:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""


class Work(Protocol):
    """What a model does in the runtime, on a fixed list of pictures."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The pictures."""

    def part(self, files: Sequence[Path]) -> Work:
        """Return the same work on some of the pictures."""

    def __call__(self, engine: Engine, tick: Callable[[int], None] = ...) -> list[FaceArray]:
        """Run the pictures through the stage and return the records of each; `tick` hears how many are done."""


def _silent(done: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class DetectorWork:
    """Letterbox, detector, decoding.

    Faces come from half the detector's own least score on: scores that fall a little are no lost faces.
    """

    files: tuple[Path, ...]

    def part(self, files: Sequence[Path]) -> DetectorWork:
        """Return the same work on some of the pictures."""
        return DetectorWork(tuple(files))

    def __call__(self, engine: Engine, tick: Callable[[int], None] = _silent) -> list[FaceArray]:
        """Return the faces of each picture."""
        least = engine.spec.detector.min_score / 2 if engine.spec.detector else None
        stage = DetectorStage(engine, least)
        found = []
        for done, file in enumerate(self.files, start=1):
            found.append(stage(read_picture(file), Stopwatch()))
            tick(done)
        return found


@dataclass(frozen=True)
class FaceWork:
    """Alignment, face network, decoding, on the faces that a detector found."""

    faces: dict[Path, FaceArray]

    @property
    def files(self) -> tuple[Path, ...]:
        """The pictures in which faces were found."""
        return tuple(self.faces)

    def part(self, files: Sequence[Path]) -> FaceWork:
        """Return the same work on some of the pictures."""
        return FaceWork({file: self.faces[file] for file in files})

    def __call__(self, engine: Engine, tick: Callable[[int], None] = _silent) -> list[FaceArray]:
        """Return the records of each picture with the attributes measured."""
        fields = {head.field for head in engine.spec.heads}
        stage = FaceStage(engine, [name for name in ATTRIBUTES if name in fields])
        described = []
        for done, (file, faces) in enumerate(self.faces.items(), start=1):
            records = faces.copy()
            stage(read_picture(file), records, Stopwatch())
            described.append(records)
            tick(done)
        return described


def work_of(spec: ModelSpec, files: Sequence[Path], detector: Engine | None, tick: Tick = no_tick) -> Work:
    """Return the work of a model on pictures; for a face network the detector finds and aligns the faces first.

    Raises InputError when a face network has no detector, or when there is no face in any picture.
    """
    if spec.task == "detector":
        return DetectorWork(tuple(files))
    if detector is None:
        raise InputError(
            f"face network {spec.name!r} is calibrated on aligned faces; name a detector to find them"
        )
    stage = DetectorStage(detector, None)
    faces: dict[Path, FaceArray] = {}
    for done, file in enumerate(files, start=1):
        found = stage(read_picture(file), Stopwatch())
        if len(found):
            faces[file] = found
        tick("finding faces", done, len(files))
    if not faces:
        raise InputError(
            f"{detector.spec.name} finds no face in {len(files)} pictures; give pictures of people"
        )
    return FaceWork(faces)
