"""The detector on the device: letterbox, network, decoding, for every frame geometry that comes along."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import astuple
from typing import Generic, Protocol, TypeVar

import numpy as np

from vultus.cuda.boxes import BoxDecoder
from vultus.cuda.code.modules import Kernels
from vultus.cuda.driver import Driver, Stream
from vultus.cuda.frames import Geometry, geometry_of
from vultus.cuda.preprocess import Letterbox
from vultus.cuda.replay import Replay
from vultus.cuda.slots import Slot
from vultus.cuda.tensors import DeviceFrame, DeviceTensor
from vultus.engines.device import DeviceEngine
from vultus.preprocess import input_size

__all__ = ["Detector", "Kept"]

SIZES, GEOMETRIES = 8, 16
"""How many network input sizes, and how many frame geometries of each, stay prepared; the oldest goes."""


class _Closable(Protocol):
    """Something that owns device memory."""

    def close(self) -> None:
        """Free it."""


_Key = TypeVar("_Key")
_Value = TypeVar("_Value", bound=_Closable)


class Kept(Generic[_Key, _Value]):
    """The things made last, by key; the one that was not used for longest is closed when there are too many."""

    def __init__(self, most: int, settle: Callable[[], None]) -> None:
        self._most, self._settle = most, settle
        self._things: OrderedDict[_Key, _Value] = OrderedDict()

    def get(self, key: _Key, make: Callable[[], _Value]) -> _Value:
        """Return the thing of a key, made when it is not there; `settle` runs before another is closed."""
        if key not in self._things:
            while len(self._things) >= self._most:
                self._settle()
                self._things.popitem(last=False)[1].close()
            self._things[key] = make()
        self._things.move_to_end(key)
        return self._things[key]

    def close(self) -> None:
        """Close all of them, the youngest first."""
        while self._things:
            self._things.popitem()[1].close()


class Detector:
    """Finds the faces of device frames and leaves count and records in the frame's slot."""

    def __init__(
        self,
        driver: Driver,
        kernels: Kernels,
        stream: Stream,
        engine: DeviceEngine,
        min_score: float,
        graphs: bool,
    ) -> None:
        self.driver, self.kernels, self.stream, self.engine = driver, kernels, stream, engine
        self.min_score = min_score
        self._graphs, self.uncaptured = graphs, ""
        self._sizes: Kept[tuple[int, int], _Network] = Kept(SIZES, stream.synchronise)
        self._last: tuple[Geometry, _Prepared] | None = None

    @property
    def capturable(self) -> bool:
        """Whether the network may be captured; an engine knows it once something is bound."""
        return self._graphs and self.engine.capturable

    def prepared(self, frame: DeviceFrame) -> _Prepared:
        """Return what serves the frame's geometry; the first frame of a new one waits for it to be made."""
        geometry = geometry_of(frame)
        if self._last is None or self._last[0] != geometry:
            self._last = (geometry, self._prepare(geometry))
        return self._last[1]

    def refuse(self, why: str) -> None:
        """Note why a part of the work cannot be captured, in `uncaptured`."""
        self.uncaptured = why

    def close(self) -> None:
        """Free everything; the stream has been synchronised. The engine is its owner's."""
        self._last = None
        self._sizes.close()

    def _prepare(self, geometry: Geometry) -> _Prepared:
        self._last = None  # it may be closed to make room
        size = input_size(geometry.width, geometry.height, self.engine.spec.input)
        network = self._sizes.get(size, lambda: _Network(self, size))
        return network.geometries.get(geometry, lambda: _Prepared(self, network, geometry))


class _Network:
    """The detector bound to one input size, with the geometries that are letterboxed to it."""

    def __init__(self, detector: Detector, size: tuple[int, int]) -> None:
        shape = (1, 3, size[1], size[0])
        self._memory = detector.driver.allocate(4 * int(np.prod(shape)))
        self.batch = DeviceTensor(self._memory.pointer, shape, np.dtype(np.float32), self._memory)
        with ExitStack() as stack:
            stack.callback(self._memory.close)
            self.binding = stack.enter_context(closing(detector.engine.bind(self.batch)))
            self._stack = stack.pop_all()
        self.geometries: Kept[Geometry, _Prepared] = Kept(GEOMETRIES, detector.stream.synchronise)

    def close(self) -> None:
        self.geometries.close()
        self._stack.close()


class _Prepared:
    """Everything for frames of one geometry."""

    def __init__(self, detector: Detector, network: _Network, geometry: Geometry) -> None:
        self._detector, self._network = detector, network
        self._replays: dict[int, Replay] = {}
        driver, kernels, spec = detector.driver, detector.kernels, detector.engine.spec
        with ExitStack() as stack:
            resampler = Letterbox(driver, kernels, spec.input, *astuple(geometry))
            self._letterbox = stack.enter_context(closing(resampler))
            decoder = BoxDecoder(driver, kernels, spec, detector.min_score, resampler.size, resampler.affine)
            self._decoder = stack.enter_context(closing(decoder))
            self._stack = stack.pop_all()

    def letterbox(self, frame: DeviceFrame) -> None:
        """Enqueue the resampling of a frame into the network's input; eager, so any address may come."""
        self._letterbox.into(frame, self._network.batch, self._detector.stream)

    def detect(self, slot: Slot) -> None:
        """Enqueue network and decoder; count and records of the slot follow."""
        key = slot.records.pointer
        if key not in self._replays:
            found = self._detector
            self._replays[key] = Replay(
                found.driver, found.stream, lambda: self._work(slot), found.capturable, found.refuse
            )
        self._replays[key]()

    def close(self) -> None:
        for replay in self._replays.values():
            replay.close()
        self._replays.clear()
        self._stack.close()

    def _work(self, slot: Slot) -> None:
        stream = self._detector.stream
        self._network.binding.enqueue(stream)
        self._decoder.into(self._network.binding.outputs, slot.records, slot.count, stream)
