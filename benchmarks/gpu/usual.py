"""The usual way to drive the same networks: letterbox and crops on the host, one run a detection, one run a face."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu.pipeline_times import SIZES, wall_milliseconds
from gpu.session import Session
from gpu.timing import spread
from vultus.cuda.driver import Driver
from vultus.cuda.pipeline import DevicePipeline
from vultus.decode.anchors import decode
from vultus.decode.heads import decode_into
from vultus.engines.device import DeviceEngine
from vultus.geometry import crop_affines
from vultus.preprocess import crops_into, input_size, letterbox_into
from vultus.selftest.agreement import agreement
from vultus.selftest.pictures import collage
from vultus.selftest.workspace import Workspace
from vultus.types import FaceArray, Frame

__all__ = ["UsualWay", "compared_with_the_usual_way"]

ROUNDS = 100
SIZE, FACES = "1080p", (1, 8, 32)

Tensor = npt.NDArray[np.float32]


class HostRun:
    """A network as `session.run` offers it: a host array in, a wait, host arrays out."""

    def __init__(self, driver: Driver, engine: DeviceEngine, shape: tuple[int, ...]) -> None:
        with ExitStack() as stack:
            self._work = stack.enter_context(Workspace(driver))
            self._input = self._work.empty(shape, np.float32)
            self._binding = engine.bind(self._input)
            stack.callback(self._binding.close)
            self._stack = stack.pop_all()

    def __call__(self, batch: Tensor) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs of a batch of the shape that was bound."""
        self._work.write(self._input, batch)
        self._binding.enqueue(self._work.stream)
        return {name: self._work.get(tensor) for name, tensor in self._binding.outputs.items()}

    def close(self) -> None:
        """Free everything."""
        self._stack.close()


class UsualWay:
    """Two networks of a session on frames of one size; a context manager."""

    def __init__(self, session: Session, width: int, height: int) -> None:
        detector, face = session.networks.detector, session.networks.face
        self._specs, self._attributes = (detector.spec, face.spec), session.attributes
        wide, tall = input_size(width, height, detector.spec.input)
        self._size, side = (wide, tall), face.spec.input
        self._input = np.empty((1, 3, tall, wide), np.float32)
        self._crop = np.empty((1, 3, side.height, side.width), np.float32)
        with ExitStack() as stack:
            self._find = HostRun(session.driver, detector, self._input.shape)
            stack.callback(self._find.close)
            self._measure = HostRun(session.driver, face, self._crop.shape)
            stack.callback(self._measure.close)
            self._stack = stack.pop_all()

    def __call__(self, bgr: npt.NDArray[np.uint8]) -> FaceArray:
        """Return the faces of a BGR picture."""
        finder, describer = self._specs
        affine = letterbox_into(bgr, finder.input, self._input[0])
        least = finder.detector.min_score if finder.detector else 0.5
        faces = decode(self._find(self._input), 0, finder, affine, least, self._size)
        for number in range(len(faces)):
            one = faces[number : number + 1]
            affines = crop_affines(one["points"], describer.input.width)
            crops_into(bgr, affines, describer.input, self._crop)
            decode_into(self._measure(self._crop), describer, affines, one, self._attributes)
        return faces

    def __enter__(self) -> UsualWay:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free everything."""
        self._stack.close()


def compared_with_the_usual_way(session: Session) -> dict[str, Any]:
    """Return frames a second both ways at 1080p, in turn in the same run, and whether the answers are the same."""
    found = {}
    counts = FACES[:1] if session.asked.quick else FACES
    size = "720p" if session.asked.quick else SIZE
    with UsualWay(session, *SIZES[size]) as usual:
        pipeline = session.pipeline()
        try:
            for count in counts:
                picture = collage(*SIZES[size], count)
                found[f"{size}, {count} faces"] = _both(session, usual, pipeline, picture)
        finally:
            pipeline.close()
    return found


def _both(
    session: Session, usual: UsualWay, pipeline: DevicePipeline, picture: npt.NDArray[np.uint8]
) -> dict[str, Any]:
    rounds = session.rounds(ROUNDS)
    frame = Frame(picture)
    slow = wall_milliseconds(lambda number: usual(picture), rounds)
    single = wall_milliseconds(lambda number: pipeline(frame), rounds)
    many = wall_milliseconds(
        lambda number: sum(1 for _ in pipeline.results(frame for _ in range(rounds))), 3, warmup=1
    )
    each = float(np.median(many)) / rounds
    apart = agreement(usual(picture), pipeline(frame).faces)
    return {
        "faces": apart.faces,
        "usual": spread(slow),
        "pipeline": spread(single),
        "pipelined": round(each, 5),
        "times_faster": round(float(np.median(slow)) / each, 2),
        "times_faster_one_by_one": round(float(np.median(slow) / np.median(single)), 2),
        "problems": apart.problems(2.0),
    }
