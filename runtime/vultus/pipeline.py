"""Analyzer: one fused pipeline from a frame to FACE records."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from vultus.engines import Engine, open_engine
from vultus.errors import InputError, UsageError
from vultus.preprocess import bgr_from_frame
from vultus.spec import ModelSpec
from vultus.stages import DetectorStage, FaceStage, Stopwatch, check_spec
from vultus.types import ATTRIBUTES, FACE, FaceArray, Frame, Result
from vultus.zoo import default_models

__all__ = ["Analyzer"]

Picture = npt.NDArray[np.uint8] | Frame


class Analyzer:
    """Finds the faces of a frame and measures their attributes.

    device: "auto", "cpu" or "cuda"; only "auto" may choose, and `Result.ran_on` says what it chose and why.
    models: model files, one detector and at most one face network; the package's own by default.
    attributes: what to measure, names of `vultus.ATTRIBUTES`; by default all that the models can.
        The others stay NaN.
    min_score: least detector score of a face; the detector's own by default. threads: CPU threads.

    One Analyzer serves one thread: the first that calls it. Close it, or use it as a context manager.
    Raises InputError, DeviceError, ModelError or SpecError when a request cannot be met as it was made.
    """

    def __init__(
        self,
        device: str = "auto",
        models: Sequence[str | Path] | None = None,
        attributes: Sequence[str] | None = None,
        min_score: float | None = None,
        threads: int | None = None,
    ) -> None:
        _check_numbers(min_score, threads)
        _check_attributes(attributes)
        self._thread: int | None = None
        self._process = os.getpid()
        self._closed = False
        with ExitStack() as stack:
            engines = _open_all(models, device, threads, stack)
            self._detector = DetectorStage(engines["detector"], min_score)
            self._face = _face_stage(engines.get("face"), attributes)
            self._stack = stack.pop_all()

    def __call__(self, picture: Picture) -> Result:
        """Return the faces of a BGR picture (H, W, 3) uint8 or of a Frame, sorted by falling score."""
        frame = self._enter(picture)
        watch = Stopwatch()
        with watch.stage("convert"):
            bgr = bgr_from_frame(frame)
        faces = self._detector(bgr, watch)
        ran_on = {"detect": self._detector.engine.device}
        if self._face is not None:
            self._face(bgr, faces, watch)
            ran_on["face"] = self._face.engine.device
        return Result(frame.index, frame.time, faces, watch.milliseconds, ran_on)

    def detect(self, picture: Picture) -> FaceArray:
        """Return the faces of a picture with box, score and points alone."""
        return self._detector(bgr_from_frame(self._enter(picture)), Stopwatch())

    def describe(self, picture: Picture, faces: FaceArray) -> FaceArray:
        """Return a copy of faces whose points (frame pixels) are known with their attributes measured.

        Raises InputError when the records are of another dtype or a face has no points, UsageError when the
        Analyzer has no face network.
        """
        frame = self._enter(picture)
        if self._face is None:
            raise UsageError(
                "this Analyzer measures no attributes: it has no face network or was asked for none"
            )
        if faces.dtype != FACE or faces.ndim != 1:
            raise InputError(
                f"faces must be a one-dimensional array of vultus.FACE, not {faces.dtype} {faces.shape}"
            )
        if not np.isfinite(faces["points"]).all():
            raise InputError("every face needs its five points to be aligned; some are not finite")
        described = faces.copy()
        self._face(bgr_from_frame(frame), described, Stopwatch())
        return described

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """The contracts of the models in use, by task."""
        stages = [self._detector, self._face]
        return {stage.engine.spec.task: stage.engine.spec for stage in stages if stage is not None}

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that this Analyzer measures."""
        return tuple(self._face.attributes) if self._face else ()

    def close(self) -> None:
        """Free the models; further calls raise UsageError. Closing twice does nothing."""
        self._closed = True
        self._stack.close()

    def __enter__(self) -> Analyzer:
        """Return the Analyzer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the Analyzer."""
        self.close()

    def _enter(self, picture: Picture) -> Frame:
        """Check that this call is allowed and return the picture as a Frame."""
        if self._closed:
            raise UsageError("this Analyzer is closed; make another one")
        if self._process != os.getpid():
            raise UsageError("this Analyzer was made before a fork; make one in each process")
        caller = threading.get_ident()
        if self._thread is None:
            self._thread = caller
        if self._thread != caller:
            raise UsageError("this Analyzer belongs to another thread; make one in each thread that analyses")
        return picture if isinstance(picture, Frame) else Frame(picture)


def _open_all(
    models: Sequence[str | Path] | None, device: str, threads: int | None, stack: ExitStack
) -> dict[str, Engine]:
    """Open the model files; return the engines by the task of their specs."""
    engines: dict[str, Engine] = {}
    for path in default_models() if models is None else models:
        engine = stack.enter_context(open_engine(path, device, threads))
        check_spec(engine.spec, str(path))
        task = engine.spec.task
        if task in engines:
            raise InputError(
                f"two models for the task {task!r}: {engines[task].spec.name} and {engine.spec.name}"
            )
        engines[task] = engine
    if "detector" not in engines:
        raise InputError(
            f"no detector among the models; they are for: {', '.join(sorted(engines)) or 'nothing'}"
        )
    return engines


def _face_stage(engine: Engine | None, attributes: Sequence[str] | None) -> FaceStage | None:
    """Return the second stage for the attributes asked for, or None where there is nothing to measure."""
    if attributes is not None and not attributes:
        return None
    measured = {head.field for head in engine.spec.heads} if engine else set()
    offered = [name for name in ATTRIBUTES if name in measured]
    missing = [name for name in attributes or () if name not in offered]
    if missing:
        has = ", ".join(offered) or "no attributes"
        raise InputError(f"no model here measures {', '.join(missing)}; the models offer: {has}")
    wanted = [name for name in offered if attributes is None or name in attributes]
    return FaceStage(engine, wanted) if engine else None


def _check_attributes(attributes: Sequence[str] | None) -> None:
    unknown = [name for name in attributes or () if name not in ATTRIBUTES]
    if isinstance(attributes, str) or unknown:
        shown = attributes if isinstance(attributes, str) else ", ".join(map(repr, unknown))
        raise InputError(
            f"unknown attributes {shown}; expected a list of names out of: {', '.join(ATTRIBUTES)}"
        )


def _check_numbers(min_score: float | None, threads: int | None) -> None:
    if min_score is not None and not 0 < min_score < 1:
        raise InputError(f"min_score must lie between 0 and 1, both excluded; it is {min_score}")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1; it is {threads}")
