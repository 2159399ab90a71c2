"""NVML through the package nvidia-ml-py, which is optional: what it does not answer is None.

On Orin the library starts and names the GPU, and refuses everything else (JetPack 6 and 7); on Thor it knows the
load. So nothing is concluded from the library's presence, only from each answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from vultus.telemetry.rails import RailSource

__all__ = ["THROTTLES", "Nvml"]

# Bits of nvmlDeviceGetCurrentClocksEventReasons that mean less speed than asked for; idling is none of them.
THROTTLES = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
GRAPHICS, SENSOR_GPU = 0, 0  # nvmlClockType_t, nvmlTemperatureSensors_t


class Nvml:
    """An opened NVML; closes itself as a context manager.

    library: the module, imported when None. problem: why there is none, else empty. `count` is then 0.
    """

    def __init__(self, library: Any = None) -> None:
        self._library = library
        self.problem = ""
        self.count = 0
        self._handles: list[Any] = []
        try:
            self._library = library or importlib.import_module("pynvml")
            self._library.nvmlInit()
        except ImportError:
            self.problem, self._library = "the package nvidia-ml-py is not installed", None
        except Exception as error:  # NVMLError, which cannot be named before the import
            self.problem, self._library = f"NVML does not start: {error}", None
        else:
            self.count = self.ask("nvmlDeviceGetCount") or 0
            self._handles = [self.ask("nvmlDeviceGetHandleByIndex", i) for i in range(self.count)]

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return what a function of NVML answers, None when it refuses, is missing or NVML is not there."""
        try:
            return getattr(self._library, function)(*arguments)
        except Exception:  # NVMLError; AttributeError of an older package
            return None

    def device(self, index: int, function: str, *arguments: Any) -> Any:
        """Return what a function answers about a GPU, None when it refuses."""
        return self.ask(function, self._handles[index], *arguments) if index < self.count else None

    def word(self, index: int, function: str) -> str | None:
        """Return a name from NVML, which older packages give as bytes."""
        answer = self.device(index, function)
        return answer.decode() if isinstance(answer, bytes) else answer

    def number(self, index: int, function: str, *arguments: Any, factor: float = 1.0) -> float | None:
        """Return a number from NVML times a factor, or None."""
        answer = self.device(index, function, *arguments)
        return None if answer is None else answer * factor

    @property
    def driver(self) -> str | None:
        """The version of the kernel driver."""
        answer = self.ask("nvmlSystemGetDriverVersion")
        return answer.decode() if isinstance(answer, bytes) else answer

    @property
    def cuda(self) -> str | None:
        """The CUDA version that the driver offers."""
        version = self.ask("nvmlSystemGetCudaDriverVersion")
        return None if version is None else f"{version // 1000}.{version % 1000 // 10}"

    def capability(self, index: int) -> str | None:
        """Return the compute capability of a GPU, such as 8.7."""
        found = self.device(index, "nvmlDeviceGetCudaComputeCapability")
        return None if found is None else "{}.{}".format(*found)

    def throttled(self, index: int) -> tuple[str, ...]:
        """Return what holds a GPU's clocks down now."""
        bits = self.device(index, "nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # its name before driver 535
            bits = self.device(index, "nvmlDeviceGetCurrentClocksThrottleReasons")
        return tuple(why for bit, why in THROTTLES.items() if (bits or 0) & bit)

    def rails(self) -> list[RailSource]:
        """Return the board power of each GPU, from its counter of energy where it keeps one."""
        return [rail for index in range(self.count) if (rail := self._rail(index))]

    def _rail(self, index: int) -> RailSource | None:
        counter = self._energy(index) is not None
        if not counter and self._watts(index) is None:
            return None
        read = _since_first(partial(self._energy, index)) if counter else partial(self._watts, index)
        return RailSource(f"GPU {index} board", "nvml", "part", counter, read, lambda: "NVML does not answer")

    def _energy(self, index: int) -> float | None:
        return self.number(index, "nvmlDeviceGetTotalEnergyConsumption", factor=1e-3)

    def _watts(self, index: int) -> float | None:
        return self.number(index, "nvmlDeviceGetPowerUsage", factor=1e-3)

    def close(self) -> None:
        """End the use of NVML."""
        self.ask("nvmlShutdown")
        self._library, self.count, self._handles = None, 0, []

    def __enter__(self) -> Nvml:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _since_first(read: Callable[[], float | None]) -> Callable[[], float | None]:
    """Return a counter's increase since its first reading."""
    start: list[float] = []

    def increase() -> float | None:
        now = read()
        if now is None:
            return None
        start.append(now) if not start else None
        return now - start[0]

    return increase
