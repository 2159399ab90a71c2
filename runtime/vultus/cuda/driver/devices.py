"""Starting the driver and asking what a device is."""

from __future__ import annotations

from typing import Any

from vultus.cuda.driver import DeviceInfo
from vultus.cuda.driver.calls import Calls
from vultus.cuda.driver.faults import require_driver
from vultus.cuda.driver.guard import Guard
from vultus.errors import DeviceError

__all__ = ["find_device"]


def find_device(cuda: Any, guard: Guard, index: int) -> tuple[Any, DeviceInfo]:
    """Start the driver; return the device's handle and what it is.

    Raises DeviceError when the driver does not start, is too old or has no such device.
    """
    calls = Calls(cuda, 0, guard)
    calls.plain("cuInit", 0)
    version = require_driver(int(calls.plain("cuDriverGetVersion")))
    count = int(calls.plain("cuDeviceGetCount"))
    if not 0 <= index < count:
        raise DeviceError(f"there is no GPU {index}; the driver finds {count}, counted from 0")
    device = calls.plain("cuDeviceGet", index)
    return device, _describe(calls, device, index, version)


def _describe(calls: Calls, device: Any, index: int, version: str) -> DeviceInfo:
    kinds = calls.cuda.CUdevice_attribute

    def attribute(name: str) -> int:
        return int(calls.plain("cuDeviceGetAttribute", getattr(kinds, f"CU_DEVICE_ATTRIBUTE_{name}"), device))

    return DeviceInfo(
        index=index,
        name=calls.plain("cuDeviceGetName", 256, device).split(b"\0")[0].decode("utf-8", "replace"),
        compute_capability=(attribute("COMPUTE_CAPABILITY_MAJOR"), attribute("COMPUTE_CAPABILITY_MINOR")),
        memory=int(calls.plain("cuDeviceTotalMem", device)),
        integrated=bool(attribute("INTEGRATED")),
        driver=version,
        multiprocessors=attribute("MULTIPROCESSOR_COUNT"),
    )
