"""Many frames in a row: nothing may grow and no answer may change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from vultus.cuda.driver import Driver
from vultus.selftest.pictures import collage, nv12_from_bgr
from vultus.selftest.pipeline import Analyse
from vultus.selftest.report import Check, checked
from vultus.telemetry.load import rss
from vultus.types import Frame

__all__ = ["WARMUP", "check_frames", "gauges", "soak_frames"]

WARMUP = 200
"""Frames before memory is looked at: buffers, caches and the allocator's arenas have found their size."""

MEGABYTE = 1e6
ROOM = {"resident_mb": 16.0, "device_mb": 2.0, "allocations": 0.0, "descriptors": 0.0}
"""The most that each gauge may rise after the warm-up; a leak of a kilobyte a frame is 16 MB after 16,000."""


def soak_frames() -> list[Frame]:
    """Return frames of two formats with many, few and no faces, of one geometry each."""
    counts = (1, 8, 0, 3, 32, 0, 2)
    pictures = [collage(1280, 720, count) for count in counts]
    return [Frame(picture) if index % 2 else nv12_from_bgr(picture) for index, picture in enumerate(pictures)]


def _descriptors() -> float:
    folder = Path("/proc/self/fd")
    return float(len(list(folder.iterdir()))) if folder.is_dir() else 0.0


def gauges(driver: Driver | None) -> dict[str, Callable[[], float]]:
    """Return what must not rise, by name: memory of the process and, with a driver, of the device."""
    found: dict[str, Callable[[], float]] = {
        "resident_mb": lambda: (rss() or 0) / MEGABYTE,
        "descriptors": _descriptors,
    }
    if driver is not None:
        found["device_mb"] = lambda: -driver.free_memory() / MEGABYTE
        found["allocations"] = lambda: float(driver.allocations)
    return found


def check_frames(
    analyse: Analyse,
    frames: Sequence[Frame],
    count: int,
    watched: Mapping[str, Callable[[], float]],
    seconds: float | None = None,
) -> Iterator[Check]:
    """Analyse `count` frames after a warm-up, fewer when `seconds` are over; yield one check.

    figures: frames, frames a second, and how much each gauge rose.
    """
    checks: list[Check] = []
    with checked(checks, "frames", f"{len(frames)} pictures in turn") as figures:
        counts = [len(analyse(frame).faces) for frame in frames]
        for number in range(min(WARMUP, count)):
            analyse(frames[number % len(frames)])
        before = {name: gauge() for name, gauge in watched.items()}
        done, spent = _run(analyse, frames, counts, count, seconds)
        figures.update(frames=done, frames_a_second=done / max(spent, 1e-9))
        figures.update({name: gauge() - before[name] for name, gauge in watched.items()})
        grown = [name for name in watched if figures[name] > ROOM[name]]
        if grown:
            said = ", ".join(f"{name} by {figures[name]:.3g} (limit {ROOM[name]:g})" for name in grown)
            raise AssertionError(f"after {done} frames these have grown: {said}")
    yield from checks


def _run(
    analyse: Analyse, frames: Sequence[Frame], counts: Sequence[int], count: int, seconds: float | None
) -> tuple[int, float]:
    began = time.perf_counter()
    for number in range(count):
        at = number % len(frames)
        found = len(analyse(frames[at]).faces)
        if found != counts[at]:
            raise AssertionError(
                f"frame {number} has {found} faces; the same picture had {counts[at]} before"
            )
        if seconds is not None and time.perf_counter() - began > seconds:
            return number + 1, time.perf_counter() - began
    return count, time.perf_counter() - began
