"""The pipeline on the host: resampling and decoding by OpenCV and numpy, networks by whatever engines are given."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from vultus.cuda.frames import lies_on_device
from vultus.engines import Engine
from vultus.errors import InputError, UsageError
from vultus.preprocess import bgr_from_frame
from vultus.roles import measurable
from vultus.spec import ModelSpec
from vultus.stages import DetectorStage, FaceStage
from vultus.stopwatch import Stopwatch
from vultus.types import FaceArray, Frame, Result

if TYPE_CHECKING:
    from vultus.cuda.driver import Driver

__all__ = ["HostPipeline"]


class HostPipeline:
    """Detector and at most one face network, driven from the host.

    engines: opened models by task, which are their owner's. why: what made the host the place, for `ran_on`.
    driver: of the GPU that the engines run on, if they do.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        attributes: Sequence[str] | None = None,
        min_score: float | None = None,
        why: str = "",
        driver: Driver | None = None,
    ) -> None:
        self.driver = driver
        self._why = f" ({why})" if why else ""
        self._detector = DetectorStage(engines["detector"], min_score)
        face = engines.get("face")
        wanted = measurable(face.spec if face else None, attributes)
        unwanted = attributes is not None and not attributes
        self._face = FaceStage(face, wanted) if face and not unwanted else None

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """The contracts of the models in use, by task."""
        stages = [self._detector, self._face]
        return {stage.engine.spec.task: stage.engine.spec for stage in stages if stage is not None}

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that are measured."""
        return tuple(self._face.attributes) if self._face else ()

    def __call__(self, picture: object) -> Result:
        """Return the faces of one picture and their attributes."""
        frame = self._frame(picture)
        watch = Stopwatch()
        with watch.stage("convert"):
            bgr = bgr_from_frame(frame)
        faces = self._detector(bgr, watch)
        ran_on = {"detect": self._detector.engine.device + self._why}
        if self._face is not None:
            self._face(bgr, faces, watch)
            ran_on["face"] = self._face.engine.device + self._why
        return Result(frame.index, frame.time, faces, watch.milliseconds, ran_on)

    def detect(self, picture: object) -> FaceArray:
        """Return the faces of a picture with box, score and points alone."""
        return self._detector(bgr_from_frame(self._frame(picture)), Stopwatch())

    def describe(self, picture: object, faces: FaceArray) -> FaceArray:
        """Return a copy of faces whose points are known with their attributes measured."""
        if self._face is None:
            raise UsageError("this pipeline measures no attributes")
        described = faces.copy()
        self._face(bgr_from_frame(self._frame(picture)), described, Stopwatch())
        return described

    def results(self, pictures: Iterable[object]) -> Generator[Result, None, None]:
        """Yield the result of each picture in order."""
        for picture in pictures:
            yield self(picture)

    def close(self) -> None:
        """Nothing is held here; the engines are their owner's."""

    def _frame(self, picture: object) -> Frame:
        if isinstance(picture, Frame):
            return picture
        if lies_on_device(picture):
            where = self._detector.engine.device + self._why
            raise InputError(
                f"this Analyzer takes pictures from the host, the {type(picture).__name__} lies on a GPU; "
                f"ask for device='cuda' or copy it to a numpy array (it runs on {where})"
            )
        return Frame(picture)  # type: ignore[arg-type]
