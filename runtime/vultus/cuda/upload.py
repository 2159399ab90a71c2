"""Host frames to the device: through page-locked memory and an async copy, or by mapped memory without one."""

from __future__ import annotations

from contextlib import ExitStack, closing

import numpy as np

from vultus.cuda.driver import DeviceMemory, Driver, HostMemory, Stream
from vultus.cuda.frames import row_bytes
from vultus.cuda.tensors import DeviceFrame
from vultus.types import Frame

__all__ = ["Upload"]


class Upload:
    """Room for one host frame on the device; it grows to the largest frame and never shrinks.

    A discrete GPU gets page-locked staging and memory of its own, so the copy runs beside the device's work. One
    that shares its memory with the host reads the page-locked bytes where they are (`mapped`).
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.mapped = driver.info.integrated
        self._staging: HostMemory | None = None
        self._memory: DeviceMemory | None = None

    def into_device(self, frame: Frame, stream: Stream) -> DeviceFrame:
        """Take a frame's pixels and enqueue their copy; nothing reads the last frame's any more.

        The caller's array is free when this returns.
        """
        staging = self._room(frame.pixels.nbytes)
        np.copyto(staging.array[: frame.pixels.nbytes].reshape(frame.pixels.shape), frame.pixels)
        pointer = staging.device_pointer
        if self._memory is not None:
            pointer = self._memory.pointer
            self._driver.copy(pointer, staging.pointer, frame.pixels.nbytes, stream)
        pitch = row_bytes(frame.width, frame.format)
        chroma = pointer + pitch * frame.height if frame.format == "NV12" else 0
        colour = getattr(frame, "colour", "bt601")
        return DeviceFrame(
            pointer, frame.width, frame.height, pitch, frame.format, chroma, colour, frame.index, frame.time
        )

    def close(self) -> None:
        """Free the room; twice does nothing."""
        for memory in (self._staging, self._memory):
            if memory is not None:
                memory.close()
        self._staging = self._memory = None

    def _room(self, size: int) -> HostMemory:
        if self._staging is None or self._staging.array.size < size:
            self.close()
            with ExitStack() as stack:
                staging = stack.enter_context(closing(self._driver.allocate_host(size, mapped=self.mapped)))
                self._memory = None if self.mapped else self._driver.allocate(size)
                self._staging = staging  # only now: half a room is none
                stack.pop_all()
        return self._staging
