"""How fast bytes move: within the device, and between it and page-locked host memory."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

from gpu.session import Session
from gpu.timing import device_milliseconds, spread

__all__ = ["copy_times"]

GIGABYTE, MEGABYTE = 10**9, 10**6
FRAMES = {"720p": 1280 * 720 * 3 // 2, "1080p": 1920 * 1080 * 3 // 2, "4K": 3840 * 2160 * 3 // 2}
"""Bytes of one NV12 frame."""


def copy_times(session: Session) -> dict[str, Any]:
    """Return the bandwidth within the device (bytes read and written) and the times of a frame's copies."""
    driver = session.driver
    size = MEGABYTE if session.asked.quick else min(4 * GIGABYTE, driver.free_memory() // 8)
    rounds = session.rounds(50)
    with closing(driver.stream()) as stream:
        with closing(driver.allocate(size)) as one, closing(driver.allocate(size)) as other:
            driver.fill(one.pointer, 0x5A, size, stream)
            times = device_milliseconds(
                driver, stream, lambda: driver.copy(other.pointer, one.pointer, size, stream), rounds
            )
        within = spread(times)
        return {
            "device_gb_per_s": round(2 * size / max(within["p50"], 1e-6) / 1e6, 1),
            "device_copy": {"bytes": size, **within},
            "frames": {name: _frame(session, stream, size) for name, size in FRAMES.items()},
        }


def _frame(session: Session, stream: Any, size: int) -> dict[str, Any]:
    driver, rounds = session.driver, session.rounds(200)
    with closing(driver.allocate(size)) as device, closing(driver.allocate_host(size)) as host:
        host.array[:] = 0x5A
        ways = {
            "to_device": (device.pointer, host.pointer),
            "to_host": (host.pointer, device.pointer),
        }
        times = {}
        for name, (to, of) in ways.items():
            copy = partial(driver.copy, to, of, size, stream)
            times[name] = spread(device_milliseconds(driver, stream, copy, rounds))
        return {"bytes": size, **times}
