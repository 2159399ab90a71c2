"""The fused pipeline: from a frame to FACE records without leaving the device.

One compute stream does all the work of a pipeline, one copy stream brings the frames. Two slots take turns, so the
upload and the work of the next frame are enqueued while the last one's records are still on their way. The number of
faces is not known when the face network is enqueued: the last frames' counts are the guess, and further passes
follow in the rare frame that has more. The host waits once a frame, for the records.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress

from vultus.cuda.code.modules import Kernels
from vultus.cuda.detecting import Detector
from vultus.cuda.driver import Driver
from vultus.cuda.frames import device_frame, foreign_stream, lies_on_device
from vultus.cuda.measuring import FaceNetwork
from vultus.cuda.plan import BucketPlan
from vultus.cuda.slots import Slot
from vultus.cuda.tensors import DeviceFrame
from vultus.engines.device import DeviceEngine
from vultus.errors import DeviceError, SpecError, UsageError
from vultus.spec import ModelSpec
from vultus.types import FaceArray, Frame, Result

__all__ = ["DevicePipeline", "Pending"]

SLOTS = 2
LEAST_FETCHED = 16
"""Records that come back in any case, so that a face or two more cost no second copy."""


class Pending:
    """One frame in flight. measured: faces that its first pass covers, None where none are wanted."""

    def __init__(self, slot: Slot, frame: DeviceFrame, upload: str) -> None:
        self.slot, self.upload = slot, upload
        self.index, self.time = frame.index, frame.time
        self.measured: int | None = None
        self.fetched = 0
        self.result: Result | None = None
        self.problem = ""


class DevicePipeline:
    """Detector and face network on one device; frames go in by `submit`, results come out by `finish`.

    The engines, the kernels and the driver are their owner's and outlive the pipeline. graphs: capture what is
    fixed where the engines allow it. timed: measure `Result.milliseconds` by events: upload, letterbox, detect and
    face (network and decoding, which are one graph), align, fetch, and more_faces for further passes.
    why: what made this device the place, for `ran_on`.
    One pipeline serves one thread at a time; several share a device well.
    Raises DeviceError when the device refuses, and then holds nothing.
    """

    def __init__(
        self,
        driver: Driver,
        kernels: Kernels,
        detector: DeviceEngine,
        face: DeviceEngine | None = None,
        attributes: Sequence[str] = (),
        min_score: float | None = None,
        graphs: bool = True,
        timed: bool = True,
        why: str = "",
    ) -> None:
        spec = detector.spec.detector
        if spec is None:
            raise SpecError(
                f"model {detector.spec.name!r} is no detector; its task is {detector.spec.task!r}"
            )
        self.driver, self.kernels = driver, kernels
        self.attributes = tuple(attributes) if face is not None else ()
        self._engines = [detector] if face is None else [detector, face]
        self._why = f" ({why})" if why else ""
        self._closed, self._turn = False, 0
        self._pending: list[Pending | None] = [None] * SLOTS
        with driver.current(), ExitStack() as stack:
            self.stream = stack.enter_context(closing(driver.stream()))
            self._copies = stack.enter_context(closing(driver.stream()))
            self._slots = [Slot(driver, spec.max_faces, timed, stack) for _ in range(SLOTS)]
            least = spec.min_score if min_score is None else min_score
            finder = Detector(driver, kernels, self.stream, detector, least, graphs)
            self._detector = stack.enter_context(closing(finder))
            self._face: FaceNetwork | None = None
            if face is not None and attributes:
                network = FaceNetwork(driver, kernels, self.stream, face, attributes, graphs)
                self._face = stack.enter_context(closing(network))
            self._warm_up()
            self._stack = stack.pop_all()
        self._plan = BucketPlan(self._face.buckets if self._face else (1,))

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """The contracts of the models in use, by task."""
        return {engine.spec.task: engine.spec for engine in self._engines}

    def __call__(self, picture: object) -> Result:
        """Return the faces of one picture and their attributes."""
        return self.finish(self.submit(picture))

    def detect(self, picture: object) -> FaceArray:
        """Return the faces of a picture with box, score and points alone."""
        return self.finish(self.submit(picture, measure=False)).faces

    def describe(self, picture: object, faces: FaceArray) -> FaceArray:
        """Return a copy of faces whose points are known with their attributes measured.

        Raises UsageError when the pipeline has no face network.
        """
        if self._face is None:
            raise UsageError(
                "this pipeline measures no attributes: it has no face network or was asked for none"
            )
        described = faces.copy()
        with self._at_work():
            for start in range(0, len(faces), self._slots[0].capacity):
                part = slice(start, start + self._slots[0].capacity)
                described[part] = self._described(picture, faces[part])
        return described

    def submit(self, picture: object, measure: bool = True) -> Pending:
        """Enqueue everything for one picture and return at once.

        Pixels on the host are copied before this returns; those on the device must stay as they are until the
        result is there. A slot whose turn it is again first finishes its own frame.
        Raises InputError for a picture that cannot be read, DeviceError when the device refuses.
        """
        with self._at_work():
            slot = self._next_slot()
            upload = self._take(slot, picture)
            pending = self._enqueue(slot, upload, measure and self._face is not None)
            self._pending[self._turn] = pending
            self._turn = (self._turn + 1) % SLOTS
        return pending

    def finish(self, pending: Pending) -> Result:
        """Wait for a frame and return its result; faces that its first pass left out are measured now."""
        if pending.problem:
            raise UsageError(f"this frame has no result: {pending.problem}")
        with self._at_work():
            return pending.result or self._settle(pending)

    def results(self, pictures: Iterable[object]) -> Generator[Result, None, None]:
        """Yield the result of each picture in order, with the work of the next one already enqueued.

        Whatever the pictures' source or a picture raises comes after the results of all pictures before it.
        """
        last: Pending | None = None
        source = iter(pictures)
        try:
            while True:
                ready: Pending | None
                error: Exception | None = None
                try:
                    ready, last = last, self.submit(next(source))
                except Exception as raised:
                    ready, last, error = last, None, raised
                if ready is not None:
                    yield self.finish(ready)
                if isinstance(error, StopIteration):
                    return
                if error is not None:
                    raise error
        finally:
            if last is not None:
                self._give_up(last)

    def close(self) -> None:
        """Wait for the device, then free everything; twice does nothing."""
        if self._closed:
            return
        self._closed = True
        with suppress(DeviceError), self.driver.current():
            for stream in (self._copies, self.stream):
                stream.synchronise()
        for pending in self._pending:
            if pending is not None and pending.result is None:
                pending.problem = "the pipeline was closed before it was read"
        self._stack.close()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Make the device current; where something fails leave nothing in flight that a next frame could meet."""
        if self._closed:
            raise UsageError("this pipeline is closed; make another one")
        with self.driver.current():
            try:
                yield
            except BaseException:
                with suppress(DeviceError):
                    self._copies.synchronise()
                    self.stream.synchronise()
                for slot, pending in zip(self._slots, self._pending, strict=True):
                    slot.frame = slot.frame if pending else None
                raise

    def _warm_up(self) -> None:
        for slot in self._slots:
            slot.clear(self.stream)
        if self._face is not None:
            self._face.prepare(self._slots)
        self.stream.synchronise()

    def _next_slot(self) -> Slot:
        """Return the slot whose turn it is, free."""
        pending = self._pending[self._turn]
        if pending is not None:
            self._settle(pending)
        return self._slots[self._turn]

    def _take(self, slot: Slot, picture: object) -> str:
        """Bring a picture to the device, or read it where it lies; return what was done, for people to read."""
        slot.marks.clear()
        name = self.driver.info.name
        if lies_on_device(picture):
            frame = slot.frame = device_frame(picture, self.driver.info.index, self.stream.handle)
            if frame.stream is not None:
                slot.uploaded.record(foreign_stream(frame.stream))
                self.stream.wait(slot.uploaded)
            return f"{name} (nothing to copy, the pixels are there)"
        host = picture if isinstance(picture, Frame) else Frame(picture)  # type: ignore[arg-type]
        slot.marks.begin(self._copies)
        slot.frame = slot.upload.into_device(host, self._copies)
        slot.marks.end("upload", self._copies)
        slot.uploaded.record(self._copies)
        self.stream.wait(slot.uploaded)
        return f"{name} ({'mapped memory' if slot.upload.mapped else 'copy from page-locked memory'})"

    def _enqueue(self, slot: Slot, upload: str, measure: bool) -> Pending:
        frame = slot.frame
        if frame is None:
            raise UsageError("a slot is enqueued while it holds its frame")
        pending = Pending(slot, frame, upload)
        prepared = self._detector.prepared(frame)
        slot.marks.begin(self.stream)
        prepared.letterbox(frame)
        slot.marks.end("letterbox", self.stream)
        prepared.detect(slot)
        slot.marks.end("detect", self.stream)
        bucket = self._plan.guess() if measure else 0
        if bucket:
            self._measure(slot, bucket)
        pending.measured = bucket if measure else None
        pending.fetched = slot.fetch(max(bucket, LEAST_FETCHED), self.stream)
        return pending

    def _measure(self, slot: Slot, bucket: int) -> None:
        """Enqueue the first pass of the face network."""
        if self._face is None:
            return
        self._face.align(slot, 0, bucket)
        slot.marks.end("align", self.stream)
        self._face.measure(slot, 0, bucket)
        slot.marks.end("face", self.stream)

    def _measure_more(self, slot: Slot, start: int, count: int) -> None:
        """Enqueue the passes for the faces from `start` on."""
        if self._face is None or start >= count:
            return
        for first, bucket in self._plan.passes(start, count):
            self._face.align(slot, first, bucket)
            self._face.measure(slot, first, bucket)
        slot.marks.end("more_faces", self.stream)

    def _settle(self, pending: Pending) -> Result:
        """Wait for a frame's records, measure the faces that were left out, free its slot; return its result."""
        slot = pending.slot
        try:
            slot.fetched.synchronise()
            count = slot.found()
            if pending.measured is not None:
                self._plan.saw(count)
            if count > (pending.fetched if pending.measured is None else pending.measured):
                slot.marks.begin(self.stream)
                self._measure_more(slot, count if pending.measured is None else pending.measured, count)
                slot.fetch(count, self.stream)
                slot.fetched.synchronise()
            pending.result = self._result(pending, slot.faces(count))
            return pending.result
        except BaseException as error:
            pending.problem = str(error)
            raise
        finally:
            slot.frame = None
            self._pending = [None if other is pending else other for other in self._pending]

    def _give_up(self, pending: Pending) -> None:
        """Wait until nothing reads a frame whose result nobody wants."""
        if self._closed or pending.result is not None:
            return
        with suppress(DeviceError), self._at_work():
            self._settle(pending)

    def _described(self, picture: object, faces: FaceArray) -> FaceArray:
        slot = self._next_slot()
        self._take(slot, picture)
        slot.marks.begin(self.stream)
        slot.send(faces, self.stream)
        self._measure_more(slot, 0, len(faces))
        slot.fetch(len(faces), self.stream)
        slot.fetched.synchronise()
        slot.frame = None
        return slot.faces(len(faces))

    def _result(self, pending: Pending, faces: FaceArray) -> Result:
        milliseconds = pending.slot.marks.milliseconds()
        ran_on = self._ran_on(pending.upload, pending.measured is not None)
        return Result(pending.index, pending.time, faces, milliseconds, ran_on)

    def _ran_on(self, upload: str, measured: bool) -> dict[str, str]:
        """Name what every stage ran on, in the order of the stages."""
        kernels = f"CUDA kernels on {self.driver.info.name} ({self.kernels.origin}, {self.driver.package})"
        parts = zip(self._engines, (self._detector, self._face), strict=False)
        networks = [engine.device + self._why + _graphless(part) for engine, part in parts]
        ran = {"upload": upload, "letterbox": kernels, "detect": networks[0], "decode_boxes": kernels}
        return ran | {"align": kernels, "face": networks[1], "decode_faces": kernels} if measured else ran


def _graphless(part: Detector | FaceNetwork | None) -> str:
    """Return what to say of a network whose work no CUDA graph takes although its engine allows it."""
    return f" (without a CUDA graph: {part.uncaptured})" if part and part.uncaptured else ""
