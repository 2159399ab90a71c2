"""A torch network at fixed device addresses, captured once and replayed on any stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vultus.cuda.driver import Driver, Stream
from vultus.cuda.tensors import DeviceTensor
from vultus.errors import DeviceError, UsageError
from vultus_export.torch_engine_graph import TorchGraph

__all__ = ["TorchBinding", "view_of"]

WARM_UP = 3
"""Runs before the capture: libraries are loaded and convolutions tried out in them."""


class TorchBinding:
    """A network with its input and outputs at fixed addresses; see `vultus.engines.device.Binding`."""

    def __init__(
        self, graph: TorchGraph, name: str, driver: Driver, device: str, batch: DeviceTensor
    ) -> None:
        self._graph: TorchGraph | None = graph
        self._name, self._driver, self._device = name, driver, device
        self._batch = batch  # its owner must outlive the binding
        self._input = view_of(batch, device)
        self._streams: dict[int, Any] = {}
        self._captured: Any = None
        self._outputs: dict[str, DeviceTensor] = {}
        self._views: dict[str, Tensor] = {}
        with ExitStack() as stack, driver.current(), _clear_memory(name):
            self._allocate(graph, stack)
            if device != "cpu":
                self._capture()
            self._stack = stack.pop_all()

    @property
    def outputs(self) -> Mapping[str, DeviceTensor]:
        """The outputs by name; written by every run."""
        return self._outputs

    def enqueue(self, stream: Stream) -> None:
        """Run the network on what its input holds when the stream gets there."""
        if self._graph is None:
            raise UsageError(f"this binding of {self._name} is closed; bind again")
        with self._driver.current():
            if self._captured is None:
                stream.synchronise()
                self._run()
                return
            with torch.cuda.stream(self._stream(stream.handle)):
                self._captured.replay()

    def close(self) -> None:
        """Free the captured graph and the outputs. Closing twice does nothing."""
        with self._driver.current():
            self._captured = self._graph = None
        self._streams, self._outputs, self._views = {}, {}, {}
        self._stack.close()

    def _allocate(self, graph: TorchGraph, stack: ExitStack) -> None:
        """Run once to learn the outputs' shapes, and allocate them through the driver."""
        found = graph(self._input)
        dtype = np.dtype(np.float32)
        for name, value in found.items():
            shape = tuple(value.shape)
            memory = self._driver.allocate(int(np.prod(shape)) * dtype.itemsize)
            stack.callback(memory.close)
            self._outputs[name] = DeviceTensor(memory.pointer, shape, dtype, memory)
            self._views[name] = view_of(self._outputs[name], self._device)

    def _capture(self) -> None:
        side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._run()
        side.synchronize()
        self._captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._captured, stream=side, capture_error_mode="thread_local"):
            self._run()
        side.synchronize()

    def _run(self) -> None:
        assert self._graph is not None
        found = self._graph(self._input)
        with torch.inference_mode():
            for name, view in self._views.items():
                view.copy_(found[name])

    def _stream(self, handle: int) -> Any:
        if handle not in self._streams:
            self._streams[handle] = torch.cuda.ExternalStream(  # type: ignore[no-untyped-call]
                handle, self._device
            )
        return self._streams[handle]


class _Interface:
    """Memory as CUDA libraries exchange it."""

    def __init__(self, tensor: DeviceTensor) -> None:
        self.__cuda_array_interface__ = _described(tensor)


class _HostInterface:
    """Memory as NumPy exchanges it."""

    def __init__(self, tensor: DeviceTensor) -> None:
        self.__array_interface__ = _described(tensor)


def view_of(tensor: DeviceTensor, device: str) -> Tensor:
    """Return a torch tensor over the memory of a device tensor, which must outlive it; nothing is copied."""
    if device == "cpu":
        return torch.from_numpy(np.asarray(_HostInterface(tensor)))
    return torch.as_tensor(_Interface(tensor), device=device)


def _described(tensor: DeviceTensor) -> dict[str, Any]:
    return {
        "shape": tensor.shape,
        "typestr": tensor.dtype.str,
        "data": (tensor.pointer, False),
        "strides": None,
        "version": 3,
    }


@contextmanager
def _clear_memory(name: str) -> Iterator[None]:
    """Turn torch's error for exhausted memory into a DeviceError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).strip().splitlines()[0]
        raise DeviceError(
            f"torch cannot bind {name}: {reason}; free GPU memory, or bind fewer pictures at once"
        ) from error
