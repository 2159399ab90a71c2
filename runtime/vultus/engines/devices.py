"""Which device a request means: asked without touching any GPU library that could crash."""

from __future__ import annotations

import ctypes
import os

from vultus.errors import DeviceError

__all__ = ["DEVICES", "cuda_problem", "require_known", "usable_cores"]

DEVICES = ("auto", "cpu", "cuda")


def usable_cores() -> int:
    """Return how many CPU cores this process may use: its affinity, not the machine's count."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cuda_problem() -> str:
    """Return why no CUDA device can be used, or an empty string when one can."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "the NVIDIA driver library libcuda.so.1 is not installed"
    if code := driver.cuInit(0):
        return f"the NVIDIA driver does not start (cuInit gives error {code})"
    count = ctypes.c_int(0)
    if code := driver.cuDeviceGetCount(ctypes.byref(count)):
        return f"the NVIDIA driver does not count its devices (error {code})"
    return "" if count.value else "the NVIDIA driver finds no GPU"


def require_known(device: str) -> None:
    """Refuse a device name that vultus does not know."""
    if device not in DEVICES:
        raise DeviceError(f"device {device!r} is unknown; expected one of {', '.join(DEVICES)}")
