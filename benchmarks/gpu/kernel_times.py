"""How long each kernel takes on real data at 1080p, beside the time that its bytes alone take."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np

from gpu.floors import floor_bytes
from gpu.session import Session
from gpu.timing import replayed_milliseconds, spread
from vultus.preprocess import input_size
from vultus.selftest.launches import Launch, LaunchLog
from vultus.selftest.pictures import collage, nv12_from_bgr
from vultus.selftest.workspace import Workspace
from vultus.types import FaceArray, Frame

__all__ = ["kernel_times"]

WIDTH, HEIGHT, FACES = 1920, 1080, 8
CHAIN = ("vultus_candidates", "vultus_rank", "vultus_overlaps", "vultus_suppress")
"""Kernels that hand counters on and set them back at the end: launched again one by one they would run out of room."""

IN_TURN = 48
"""Frames at different addresses, together larger than the cache of any device."""


def kernel_times(session: Session, bandwidth: float) -> dict[str, Any]:
    """Return for each frame format and kernel its time, and its floor at `bandwidth` (GB a second read and written)."""
    width, height = (640, 360) if session.asked.quick else (WIDTH, HEIGHT)
    picture = collage(width, height, FACES)
    grey = np.ascontiguousarray(picture[..., 1])
    frames = {"BGR": Frame(picture), "NV12": nv12_from_bgr(picture), "GRAY": Frame(grey, "GRAY")}
    wanted = ("NV12",) if session.asked.quick else tuple(frames)
    return {
        "size": [width, height],
        "faces": FACES,
        "formats": {name: _of_format(session, frames[name], bandwidth) for name in wanted},
    }


def _of_format(session: Session, frame: Frame, bandwidth: float) -> dict[str, Any]:
    specs = [engine.spec.input for engine in (session.networks.detector, session.networks.face)]
    size = input_size(frame.width, frame.height, specs[0])
    times = {}
    with Workspace(session.driver) as work:
        launches, faces, keep = _launches(session, work, frame)
        with closing(keep):
            for name, own in _groups(launches).items():
                found = _timed(session, work, own)
                times[name] = {
                    **found,
                    **_floor(found, floor_bytes(name, frame, faces, specs, size), bandwidth),
                }
    return times


def _groups(launches: list[Launch]) -> dict[str, list[Launch]]:
    """Return the launches by kernel in their order; those of the chain together."""
    groups: dict[str, list[Launch]] = {}
    for launch in launches:
        name = " + ".join(CHAIN) if launch.name in CHAIN else launch.name
        groups.setdefault(name, []).append(launch)
    return groups


def _launches(session: Session, work: Workspace, frame: Frame) -> tuple[list[Launch], FaceArray, Any]:
    """Run the pipeline eagerly on frames at many addresses; return its launches and what owns their memory."""
    log = LaunchLog(session.driver)
    frames = [work.frame(frame) for _ in range(session.rounds(IN_TURN))]
    pipeline = session.pipeline(graphs=False, driver=log.driver)
    try:
        for _ in range(3):  # until the bucket of faces is guessed from frames like this one
            faces = pipeline(frames[0]).faces
        log.launches.clear()
        for device_frame in frames:
            pipeline(device_frame)
    except BaseException:
        pipeline.close()
        raise
    return log.launches, faces, pipeline


def _timed(session: Session, work: Workspace, launches: list[Launch]) -> dict[str, Any]:
    def again(launch: Launch) -> None:
        launch.again(session.driver, work.stream)

    works = [lambda one=launch: again(one) for launch in launches]
    each = replayed_milliseconds(session.driver, work.stream, works, session.rounds(50))
    kernels = len({launch.name for launch in launches})
    first = launches[0]
    return {**spread([time * kernels for time in each]), "grid": list(first.grid), "block": list(first.block)}


def _floor(found: dict[str, Any], size: int | None, bandwidth: float) -> dict[str, Any]:
    if size is None:
        return {"bytes": None, "floor": None, "over_floor": None}
    floor = size / bandwidth / 1e6
    return {"bytes": size, "floor": round(floor, 5), "over_floor": round(found["p50"] / floor, 2)}
