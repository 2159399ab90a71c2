"""A slot holds what one frame in flight owns, so that the next frame's upload and work can start beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from vultus.cuda.driver import Driver, Event, Stream
from vultus.cuda.tensors import DeviceFrame, DeviceTensor
from vultus.cuda.upload import Upload
from vultus.types import FACE, FaceArray

__all__ = ["Marks", "Slot"]

HEADER = 256
"""Bytes ahead of the records: the count, alone on its line, so that one copy brings both."""


class Marks:
    """Events between the stages of one frame, and the milliseconds that they tell."""

    def __init__(self, driver: Driver, stack: ExitStack, names: tuple[str, ...]) -> None:
        self._events = {name: (_event(driver, stack), _event(driver, stack)) for name in names}
        self._used: list[str] = []

    def clear(self) -> None:
        """Forget the last frame's stages."""
        self._used = []

    @contextmanager
    def around(self, name: str, stream: Stream) -> Iterator[None]:
        """Mark where a stage begins and ends; of one that comes twice in a frame the last time counts."""
        begin, end = self._events[name]
        begin.record(stream)
        yield
        end.record(stream)
        if name not in self._used:
            self._used.append(name)

    def milliseconds(self) -> dict[str, float]:
        """Return the device time of each stage that ran, in their order; all marks are reached."""
        pairs = ((name, *self._events[name]) for name in self._used)
        return {name: end.milliseconds_since(begin) for name, begin, end in pairs}


class Slot:
    """Frame, records and count of one frame on the device, and the page-locked memory that they come back to.

    Everything is allocated here, but the room for host frames, which grows with them.
    """

    def __init__(self, driver: Driver, capacity: int, stages: tuple[str, ...], stack: ExitStack) -> None:
        size = HEADER + capacity * FACE.itemsize
        self._driver, self._device = driver, driver.allocate(size)
        stack.callback(self._device.close)
        self._host = driver.allocate_host(size)
        stack.callback(self._host.close)
        self.upload = Upload(driver)
        stack.callback(self.upload.close)
        self.uploaded, self.fetched = _event(driver, stack, False), _event(driver, stack, False)
        self.marks = Marks(driver, stack, stages)
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
        with self.marks.around("fetch", stream):
            self._driver.copy(self._host.pointer, self._device.pointer, size, stream)
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
