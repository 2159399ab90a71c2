"""Analyzer: one fused pipeline from a frame to FACE records."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from vultus.engines import ENGINES, open_engine
from vultus.engines.devices import cuda_problem, require_known
from vultus.errors import DeviceError, InputError, UsageError
from vultus.host import HostPipeline
from vultus.roles import by_task, check_attributes, check_numbers
from vultus.spec import ModelSpec
from vultus.types import FACE, FaceArray, Frame, Result
from vultus.zoo import default_models

if TYPE_CHECKING:
    from vultus.cuda.driver import Driver

__all__ = ["Analyzer"]

Picture = npt.NDArray[np.uint8] | Frame | Any
"""A BGR array, a Frame, or with device="cuda" any picture of `vultus.cuda.frames` that lies on the GPU."""


class _Pipeline(Protocol):
    """What an Analyzer drives: on the host or on the device."""

    @property
    def specs(self) -> dict[str, ModelSpec]: ...

    @property
    def attributes(self) -> tuple[str, ...]: ...

    @property
    def driver(self) -> Driver | None: ...

    def __call__(self, picture: object) -> Result: ...

    def detect(self, picture: object) -> FaceArray: ...

    def describe(self, picture: object, faces: FaceArray) -> FaceArray: ...

    def results(self, pictures: Iterable[object]) -> Generator[Result, None, None]: ...


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
        check_numbers(min_score, threads)
        check_attributes(attributes)
        require_known(device)
        self._thread: int | None = None
        self._process = os.getpid()
        self._closed = False
        paths = default_models() if models is None else models
        with ExitStack() as stack:
            self._pipeline = _opened(device, paths, attributes, min_score, threads, stack)
            self._stack = stack.pop_all()

    def __call__(self, picture: Picture) -> Result:
        """Return the faces of a BGR picture (H, W, 3) uint8 or of a Frame, sorted by falling score.

        With device="cuda" pictures on the GPU are taken as well, without a copy: see `vultus.cuda.frames`.
        """
        return self._pipeline(self._enter(picture))

    def stream(self, pictures: Iterable[Picture]) -> Generator[Result, None, None]:
        """Yield the result of each picture, in order, while the GPU works on the next one already.

        One picture is taken ahead, so memory of a picture on the GPU must stay as it is until its result comes. On
        the CPU this is a plain loop. What the source or a picture raises comes after the results before it.
        """
        self._check_call()
        return self._pipeline.results(self._enter(picture) for picture in pictures)

    def detect(self, picture: Picture) -> FaceArray:
        """Return the faces of a picture with box, score and points alone."""
        return self._pipeline.detect(self._enter(picture))

    def describe(self, picture: Picture, faces: FaceArray) -> FaceArray:
        """Return a copy of faces whose points (frame pixels) are known with their attributes measured.

        Raises InputError when the records are of another dtype or a face has no points, UsageError when the
        Analyzer has no face network.
        """
        picture = self._enter(picture)
        if not self.attributes:
            raise UsageError(
                "this Analyzer measures no attributes: it has no face network or was asked for none"
            )
        if faces.dtype != FACE or faces.ndim != 1:
            raise InputError(
                f"faces must be a one-dimensional array of vultus.FACE, not {faces.dtype} {faces.shape}"
            )
        if not np.isfinite(faces["points"]).all():
            raise InputError("every face needs its five points to be aligned; some are not finite")
        return self._pipeline.describe(picture, faces)

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """The contracts of the models in use, by task."""
        return self._pipeline.specs

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that this Analyzer measures."""
        return self._pipeline.attributes

    @property
    def driver(self) -> Driver | None:
        """The driver of the GPU that the models run on, None on the CPU."""
        return self._pipeline.driver

    def close(self) -> None:
        """Free the models; further calls raise UsageError. Closing twice does nothing."""
        self._closed = True
        # After a fork the device memory is the parent's: freeing it here would be an error of the driver.
        if self._process == os.getpid():
            self._stack.close()

    def __enter__(self) -> Analyzer:
        """Return the Analyzer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the Analyzer."""
        self.close()

    def _enter(self, picture: Picture) -> Picture:
        """Check that this call is allowed and return the picture."""
        self._check_call()
        return picture

    def _check_call(self) -> None:
        if self._closed:
            raise UsageError("this Analyzer is closed; make another one")
        if self._process != os.getpid():
            raise UsageError("this Analyzer was made before a fork; make one in each process")
        caller = threading.get_ident()
        if self._thread is None:
            self._thread = caller
        if self._thread != caller:
            raise UsageError("this Analyzer belongs to another thread; make one in each thread that analyses")


def _opened(
    device: str,
    paths: Sequence[str | Path],
    attributes: Sequence[str] | None,
    min_score: float | None,
    threads: int | None,
    stack: ExitStack,
) -> _Pipeline:
    """Open the models where they were asked for; only "auto" goes on to the CPU when the GPU cannot be had."""
    why = ""
    if device != "cpu":
        pipeline, reason = _tried_on_device(device, paths, attributes, min_score, stack)
        if pipeline is not None:
            return pipeline
        if device == "cuda" or any(Path(path).suffix not in ENGINES for path in paths):
            raise DeviceError(
                f"device {device!r} was asked for, but {reason}; ask for 'cpu' or 'auto', or mend that"
            )
        why = f"chosen because {reason}"
    try:
        opened = [(str(path), stack.enter_context(open_engine(path, "cpu", threads))) for path in paths]
    except DeviceError as error:
        raise DeviceError(f"{error} (the CPU was {why})" if why else str(error)) from error
    return HostPipeline(by_task(opened), attributes, min_score, why)


def _tried_on_device(
    device: str,
    paths: Sequence[str | Path],
    attributes: Sequence[str] | None,
    min_score: float | None,
    stack: ExitStack,
) -> tuple[_Pipeline | None, str]:
    """Return the pipeline on the GPU, or None and why there is none."""
    if problem := cuda_problem():  # asked first: without a GPU none of the device path need be imported
        return None, problem
    from vultus.cuda.opening import open_on_device

    try:
        with ExitStack() as own:
            chosen = "chosen because a GPU is there" if device == "auto" else ""
            pipeline = open_on_device(paths, attributes, min_score, own, why=chosen)
            stack.push(own.pop_all())
            return pipeline, ""
    except DeviceError as error:
        return None, cuda_problem() or str(error)
