"""A device engine for arrays on the host: copies in, runs, copies out. The fused pipeline needs no such copies."""

from __future__ import annotations

from contextlib import ExitStack, closing
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vultus.cuda.driver import Driver, Stream
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.contract import check_batch
from vultus.engines.device import DeviceEngine
from vultus.errors import UsageError
from vultus.spec import ModelSpec

if TYPE_CHECKING:
    from vultus.engines import Tensors

__all__ = ["HostedEngine"]

KNOWN_SHAPES = 16

Batch = npt.NDArray[np.float32]


class HostedEngine:
    """An `Engine` over a device engine. Use it from one thread at a time.

    Batches are filled up to the next power of two within what the engine takes, larger ones go in parts. The device
    engine and the driver are their owner's; `owned` is closed with this engine.
    """

    def __init__(self, driver: Driver, engine: DeviceEngine, owned: ExitStack | None = None) -> None:
        self._driver, self._engine, self._owned = driver, engine, owned
        with driver.current():
            self._stream = driver.stream()
        self._slots: dict[tuple[int, ...], _Slot] = {}
        self._closed = False

    @property
    def spec(self) -> ModelSpec:
        """The contract that the model carries."""
        return self._engine.spec

    @property
    def device(self) -> str:
        """Engine and device that really run the model."""
        return self._engine.device

    def __call__(self, batch: Batch) -> Tensors:
        """Run a (n, 3, height, width) float32 batch of any n; the arrays are valid until the next call.

        Raises InputError for a batch of another shape or type.
        """
        if self._closed:
            raise UsageError(f"the engine of {self.spec.name!r} is closed; open it again")
        check_batch(batch.shape, batch.dtype, self.spec, f"model {self.spec.name!r}")
        least, most = self._engine.batch
        if len(batch) <= most:
            return self._run(batch, least, most)
        parts = [
            {name: array.copy() for name, array in self._run(batch[i : i + most], least, most).items()}
            for i in range(0, len(batch), most)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Free what was bound and what is owned; further calls raise UsageError. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._forget()
        self._stream.close()
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> HostedEngine:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    def _run(self, part: Batch, least: int, most: int) -> Tensors:
        shape = (_filled(len(part), least, most), *part.shape[1:])
        with self._driver.current():
            if shape not in self._slots:
                if len(self._slots) >= KNOWN_SHAPES:
                    self._forget()
                self._slots[shape] = _Slot(self._driver, self._engine, shape)
            return self._slots[shape].run(part, self._stream)

    def _forget(self) -> None:
        for slot in self._slots.values():
            slot.close()
        self._slots.clear()


class _Slot:
    """One batch shape: its binding, and page-locked memory for what goes in and comes out."""

    def __init__(self, driver: Driver, engine: DeviceEngine, shape: tuple[int, ...]) -> None:
        self._driver = driver
        with ExitStack() as stack:
            size = int(np.prod(shape)) * 4
            memory = stack.enter_context(closing(driver.allocate(size)))
            self._batch = DeviceTensor(memory.pointer, shape, np.dtype(np.float32), memory)
            self._binding = stack.enter_context(closing(engine.bind(self._batch)))
            given = stack.enter_context(closing(driver.allocate_host(size)))
            self._input, self._source = _array(given.array, self._batch), given.pointer
            # What fills up a batch must be numbers: some kernels are slow on NaN and denormals.
            self._input.fill(0)
            self._outputs = {}
            for name, tensor in self._binding.outputs.items():
                host = stack.enter_context(closing(driver.allocate_host(tensor.nbytes)))
                self._outputs[name] = (host.pointer, _array(host.array, tensor))
            self._stack = stack.pop_all()

    def run(self, part: Batch, stream: Stream) -> Tensors:
        self._input[: len(part)] = part
        self._driver.copy(self._batch.pointer, self._source, self._batch.nbytes, stream)
        self._binding.enqueue(stream)
        for name, (target, _) in self._outputs.items():
            tensor = self._binding.outputs[name]
            self._driver.copy(target, tensor.pointer, tensor.nbytes, stream)
        stream.synchronise()
        found = self._outputs.items()
        return {name: array[: len(part)].astype(np.float32, copy=False) for name, (_, array) in found}

    def close(self) -> None:
        self._stack.close()


def _array(raw: npt.NDArray[np.uint8], tensor: DeviceTensor) -> npt.NDArray[np.float32]:
    """Return host bytes as an array of a device tensor's shape and type."""
    return raw[: tensor.nbytes].view(tensor.dtype).reshape(tensor.shape)


def _filled(count: int, least: int, most: int) -> int:
    """Return the number of pictures to run for `count`: the next power of two within the engine's bounds."""
    return min(max(1 << (count - 1).bit_length(), least), most)
