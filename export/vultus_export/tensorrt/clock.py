"""Time of each layer of a finished engine on the GPU that is here, by TensorRT's own profiler.

The pictures are zeros: the time of these networks does not depend on what they see.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod
from types import TracebackType
from typing import Any

from vultus.errors import DeviceError, ModelError
from vultus_export.tensorrt.bindings import Bindings
from vultus_export.tensorrt.builder import opened_engine
from vultus_export.tensorrt.request import Request
from vultus_export.tensorrt.talk import talk_for

__all__ = ["layer_times"]

WARM_UP = 5
RUNS = 20


def layer_times(
    bindings: Bindings, data: bytes, request: Request, name: str, shape: Sequence[int]
) -> dict[str, float]:
    """Return layer name -> mean milliseconds of one call with the input `name` in this shape.

    Raises DeviceError or ModelError when the engine does not run here.
    """
    trt = bindings.trt
    talk, logger = talk_for(trt)
    engine = opened_engine(bindings, logger, data, request)
    context = engine.create_execution_context() if engine is not None else None
    if context is None:
        raise ModelError(f"{bindings.name} cannot run the engine here: {'; '.join(talk.errors[-1:])}")
    times: dict[str, list[float]] = {}

    context.profiler = profiler = _profiler(trt, times)
    context.set_input_shape(name, tuple(shape))
    tensors = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    with _DeviceMemory() as memory:
        addresses = [memory.zeros(_bytes(engine, context, tensor)) for tensor in tensors]
        done = [context.execute_v2(addresses) for _ in range(WARM_UP + RUNS)]
    del profiler
    if not all(done):
        raise ModelError(f"{bindings.name} cannot run the engine here: {'; '.join(talk.errors[-1:])}")
    return {layer: sum(values[WARM_UP:]) / max(len(values[WARM_UP:]), 1) for layer, values in times.items()}


def _profiler(trt: Any, times: dict[str, list[float]]) -> Any:
    class Times(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            times.setdefault(layer_name, []).append(float(ms))

    return Times()


def _bytes(engine: Any, context: Any, tensor: str) -> int:
    return int(prod(context.get_tensor_shape(tensor)) * engine.get_tensor_dtype(tensor).itemsize)


class _DeviceMemory:
    """Zeroed GPU memory in the first GPU's primary context, all freed at the end."""

    def __init__(self) -> None:
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._device = ctypes.c_int(0)
        self._addresses: list[int] = []

    def __enter__(self) -> _DeviceMemory:
        context = ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(self._device), 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device)
        self._call("cuCtxPushCurrent_v2", context)
        return self

    def zeros(self, size: int) -> int:
        """Return the address of `size` zeroed bytes."""
        address = ctypes.c_uint64(0)
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(size, 1)))
        self._addresses.append(address.value)
        self._call("cuMemsetD8_v2", address, ctypes.c_ubyte(0), ctypes.c_size_t(max(size, 1)))
        return address.value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for address in self._addresses:
            self._call("cuMemFree_v2", ctypes.c_uint64(address))
        popped = ctypes.c_void_p()
        self._call("cuCtxPopCurrent_v2", ctypes.byref(popped))
        self._call("cuDevicePrimaryCtxRelease_v2", self._device)

    def _call(self, name: str, *arguments: Any) -> None:
        if code := getattr(self._driver, name)(*arguments):
            raise DeviceError(
                f"the NVIDIA driver refuses {name} (error {code}); the GPU may be out of memory"
            )
