"""The face network on the device: alignment, crops, network and decoding for the faces of a slot's records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing

import numpy as np

from vultus.cuda.code.modules import Kernels
from vultus.cuda.driver import Driver, Stream
from vultus.cuda.faces import Aligner, FaceDecoder
from vultus.cuda.plan import buckets_within
from vultus.cuda.preprocess import Crops
from vultus.cuda.replay import Replay
from vultus.cuda.slots import Slot
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.device import DeviceEngine
from vultus.errors import UsageError

__all__ = ["FaceNetwork"]

FLOAT = np.dtype(np.float32)


class FaceNetwork:
    """Measures the attributes of faces whose records lie in a slot, a bucket of them at a time.

    All buckets share the crops' memory; each is bound, run once and captured at start.
    """

    def __init__(
        self,
        driver: Driver,
        kernels: Kernels,
        stream: Stream,
        engine: DeviceEngine,
        attributes: Sequence[str],
        graphs: bool,
    ) -> None:
        self.engine, self.attributes = engine, tuple(attributes)
        self.buckets = buckets_within(*engine.batch)
        self.driver, self.stream = driver, stream
        self.uncaptured = ""
        spec, top = engine.spec, self.buckets[-1]
        crops, affines = (top, 3, spec.input.height, spec.input.width), (top, 2, 3)
        with ExitStack() as stack:
            pixels = stack.enter_context(closing(driver.allocate(4 * int(np.prod(crops)))))
            places = stack.enter_context(closing(driver.allocate(4 * int(np.prod(affines)))))
            self._affines = DeviceTensor(places.pointer, affines, FLOAT, places)
            self._aligner = stack.enter_context(closing(Aligner(driver, kernels, spec, top)))
            self._crops = stack.enter_context(closing(Crops(driver, kernels, spec.input, top)))
            decoder = FaceDecoder(driver, kernels, spec, self.attributes, top)
            self._decoder = stack.enter_context(closing(decoder))
            self._buckets: dict[int, _Bucket] = {}
            for size in self.buckets:
                batch = DeviceTensor(pixels.pointer, (size, *crops[1:]), FLOAT, pixels)
                bucket = _Bucket(self, batch, graphs)
                self._buckets[size] = stack.enter_context(closing(bucket))
            self._stack = stack.pop_all()

    def prepare(self, slots: Sequence[Slot]) -> None:
        """Run and capture every bucket for every slot, whose counts are 0."""
        for slot in slots:
            for bucket in self._buckets.values():
                bucket.replay(slot).prepare()

    def align(self, slot: Slot, start: int, bucket: int) -> None:
        """Enqueue the crops of the faces from `start` on; eager, so the frame may lie at any address."""
        if slot.frame is None:
            raise UsageError("a slot is measured while it holds its frame")
        self._aligner.into(slot.records, slot.count, start, self._affines, self.stream)
        batch = self._buckets[bucket].batch
        self._crops.into(slot.frame, self._affines, slot.count, start, batch, self.stream)

    def measure(self, slot: Slot, start: int, bucket: int) -> None:
        """Enqueue network and decoder for the faces whose crops are there."""
        if start:
            self._buckets[bucket].work(slot, start)
        else:
            self._buckets[bucket].replay(slot)()

    def decode(self, outputs: Mapping[str, DeviceTensor], slot: Slot, start: int) -> None:
        """Enqueue the decoder for what a bucket's network gave."""
        self._decoder.into(outputs, self._affines, slot.count, start, slot.records, self.stream)

    def refuse(self, why: str) -> None:
        """Note why a part of the work cannot be captured, in `uncaptured`."""
        self.uncaptured = why

    def close(self) -> None:
        """Free everything; the stream has been synchronised. The engine is its owner's."""
        self._stack.close()


class _Bucket:
    """The network bound to one batch size."""

    def __init__(self, network: FaceNetwork, batch: DeviceTensor, graphs: bool) -> None:
        self._network, self.batch = network, batch
        self._replays: dict[int, Replay] = {}
        self._binding = network.engine.bind(batch)
        self._capturable = graphs and network.engine.capturable  # settled by binding

    def replay(self, slot: Slot) -> Replay:
        key = slot.records.pointer
        if key not in self._replays:
            network = self._network
            self._replays[key] = Replay(
                network.driver, network.stream, lambda: self.work(slot, 0), self._capturable, network.refuse
            )
        return self._replays[key]

    def work(self, slot: Slot, start: int) -> None:
        self._binding.enqueue(self._network.stream)
        self._network.decode(self._binding.outputs, slot, start)

    def close(self) -> None:
        for replay in self._replays.values():
            replay.close()
        self._replays.clear()
        self._binding.close()
