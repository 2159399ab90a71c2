"""A slot holds what one frame in flight owns, so that the next frame's upload and work can start beside it."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from vultus.cuda.driver import Driver, Event, Stream
from vultus.cuda.tensors import DeviceFrame, DeviceTensor
from vultus.cuda.upload import Upload
from vultus.types import FACE, FaceArray

__all__ = ["Marks", "Slot"]

MARKS = 11
"""The most marks of a frame: begin and upload; begin, five stages; begin, further faces, fetch again."""

HEADER = 256
"""Bytes ahead of the records: the count, alone on its line, so that one copy brings both."""


class Marks:
    """Events between the stages of one frame, and the milliseconds that they tell.

    A stage lasts from the mark before it to its own, so the gaps between stages count too. timed: False records
    nothing, which spares the host some calls a frame.
    """

    def __init__(self, driver: Driver, stack: ExitStack, timed: bool) -> None:
        self._events = [_event(driver, stack) for _ in range(MARKS if timed else 0)]
        self._stages: list[tuple[str, Event, Event]] = []
        self._next = 0

    def clear(self) -> None:
        """Forget the last frame's stages."""
        self._stages, self._next = [], 0

    def begin(self, stream: Stream) -> None:
        """Mark where the next stage begins."""
        if self._events:
            self._events[self._next].record(stream)
            self._next += 1

    def end(self, name: str, stream: Stream) -> None:
        """Mark where a stage ends, and where another may begin."""
        if self._events:
            self._stages.append((name, self._events[self._next - 1], self._events[self._next]))
            self.begin(stream)

    def milliseconds(self) -> dict[str, float]:
        """Return the device time of each stage that ran, in their order; all marks are reached."""
        spent: dict[str, float] = {}
        for name, begin, end in self._stages:
            spent[name] = spent.get(name, 0.0) + end.milliseconds_since(begin)
        return spent


class Slot:
    """Frame, records and count of one frame on the device, and the page-locked memory that they come back to.

    Everything is allocated here, but the room for host frames, which grows with them.
    """

    def __init__(self, driver: Driver, capacity: int, timed: bool, stack: ExitStack) -> None:
        size = HEADER + capacity * FACE.itemsize
        self._driver, self._device = driver, driver.allocate(size)
        stack.callback(self._device.close)
        self._host = driver.allocate_host(size)
        stack.callback(self._host.close)
        self.upload = Upload(driver)
        stack.callback(self.upload.close)
        self.uploaded, self.fetched = _event(driver, stack, False), _event(driver, stack, False)
        self.marks = Marks(driver, stack, timed)
        self.count = DeviceTensor(self._device.pointer, (1,), np.dtype(np.int32), self)
        self.records = DeviceTensor(self._device.pointer + HEADER, (capacity,), FACE, self)
        self.frame: DeviceFrame | None = None

    @property
    def capacity(self) -> int:
        """How many faces a frame can have."""
        return self.records.shape[0]

    def clear(self, stream: Stream) -> None:
        """Set the count to 0."""
        self._driver.fill(self._device.pointer, 0, HEADER, stream)

    def send(self, faces: FaceArray, stream: Stream) -> None:
        """Enqueue the copy of count and records to the device; nothing is in flight in this slot."""
        self._host.array[:4].view(np.int32)[0] = len(faces)
        size = HEADER + faces.nbytes
        self._host.array[HEADER:size] = np.ascontiguousarray(faces).view(np.uint8).reshape(-1)
        self._driver.copy(self._device.pointer, self._host.pointer, size, stream)

    def fetch(self, faces: int, stream: Stream) -> int:
        """Enqueue the copy of the count and the first records to the host; return how many of them."""
        faces = min(faces, self.capacity)
        size = HEADER + faces * FACE.itemsize
        self._driver.copy(self._host.pointer, self._device.pointer, size, stream)
        self.marks.end("fetch", stream)
        self.fetched.record(stream)
        return faces

    def found(self) -> int:
        """Return the count that came back."""
        return min(int(self._host.array[:4].view(np.int32)[0]), self.capacity)

    def faces(self, count: int) -> FaceArray:
        """Return a copy of the first records that came back."""
        size = HEADER + count * FACE.itemsize
        return self._host.array[HEADER:size].view(FACE).copy()


def _event(driver: Driver, stack: ExitStack, timing: bool = True) -> Event:
    event = driver.event(timing)
    stack.callback(event.close)
    return event
