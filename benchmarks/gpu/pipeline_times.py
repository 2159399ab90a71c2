"""How long networks and the whole pipeline take: 720p, 1080p and 4K with 1, 8 and 32 faces."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from gpu.session import Session
from gpu.timing import device_milliseconds, replayed_milliseconds, spread
from vultus.cuda.pipeline import DevicePipeline
from vultus.engines.device import DeviceEngine
from vultus.preprocess import input_size
from vultus.selftest.pictures import collage, nv12_from_bgr
from vultus.selftest.workspace import Workspace
from vultus.types import Frame, Result

__all__ = ["SIZES", "network_times", "pipeline_times", "wall_milliseconds"]

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
FACES = (1, 8, 32)
BATCHES = (1, 8, 32)
IN_TURN = 4
ROUNDS, WARMUP = 300, 20
PASSES = ("letterbox", "detect", "align", "face", "more_faces")


def wall_milliseconds(work: Callable[[int], object], rounds: int, warmup: int = WARMUP) -> list[float]:
    """Return the wall time of each call of `work`, which is told its number."""
    for number in range(min(warmup, rounds)):
        work(number)
    times = []
    for number in range(rounds):
        began = time.perf_counter_ns()
        work(number)
        times.append((time.perf_counter_ns() - began) / 1e6)
    return times


def network_times(session: Session) -> dict[str, Any]:
    """Return the device time of each network alone: the detector by frame size, the face network by batch."""
    found = session.networks
    shapes = {
        name: (1, 3, *reversed(input_size(*size, found.detector.spec.input))) for name, size in SIZES.items()
    }
    side = found.face.spec.input
    batches = {str(n): (n, 3, side.height, side.width) for n in BATCHES}
    wanted = ("720p",) if session.asked.quick else tuple(shapes)
    return {
        "detector": {name: _alone(session, found.detector, shapes[name]) for name in wanted},
        "face": {
            name: _alone(session, found.face, shape)
            for name, shape in batches.items()
            if int(name) <= found.face.batch[1]
        },
    }


def _alone(session: Session, engine: DeviceEngine, shape: tuple[int, ...]) -> dict[str, Any]:
    with Workspace(session.driver) as work:
        noise = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        with closing(engine.bind(work.put(noise))) as binding:
            times = _run(session, work, lambda: binding.enqueue(work.stream), engine.capturable)
    return {"input": list(shape), **spread(times)}


def _run(session: Session, work: Workspace, enqueue: Callable[[], None], capturable: bool) -> list[float]:
    rounds = session.rounds(ROUNDS)
    enqueue()
    work.stream.synchronise()
    if capturable:
        return replayed_milliseconds(session.driver, work.stream, [enqueue], rounds)
    return device_milliseconds(session.driver, work.stream, enqueue, rounds)


def pipeline_times(session: Session, networks: dict[str, Any]) -> dict[str, Any]:
    """Return the times of whole frames by size and number of faces; networks: what `network_times` returned."""
    sizes = ("720p",) if session.asked.quick else tuple(SIZES)
    counts = (8,) if session.asked.quick else FACES
    found = {}
    with closing(session.pipeline()) as pipeline:
        for name in sizes:
            for count in counts:
                picture = collage(*SIZES[name], count)
                entry = _whole(session, pipeline, picture)
                found[f"{name}, {count} faces"] = {**entry, **_share(entry, networks, name, entry["faces"])}
    return found


def _whole(session: Session, pipeline: DevicePipeline, picture: Any) -> dict[str, Any]:
    rounds = session.rounds(ROUNDS)
    frames = [nv12_from_bgr(picture) for _ in range(IN_TURN)]
    results: list[Result] = []

    def analyse(number: int) -> None:
        results.append(pipeline(frames[number % IN_TURN]))

    wall = wall_milliseconds(analyse, rounds)
    stages = _stages(results[-rounds:])
    began = time.perf_counter()
    done = sum(1 for _ in pipeline.results(frames[number % IN_TURN] for number in range(rounds)))
    each = (time.perf_counter() - began) * 1e3 / done
    span = _span(session, pipeline, frames[0])
    busy = sum(stages.get(name, 0.0) for name in PASSES)
    return {
        "faces": len(results[-1].faces),
        "wall": spread(wall),
        "stages": {name: round(value, 5) for name, value in stages.items()},
        "device": round(busy, 5),
        "host_overhead": round(float(np.median(wall)) - sum(stages.values()), 5),
        "span": spread(span),
        "idle": round(float(np.median(span)) - busy - stages.get("fetch", 0.0), 5),
        "pipelined": round(each, 5),
        "frames_a_second": round(1e3 / each, 1),
    }


def _stages(results: Sequence[Result]) -> dict[str, float]:
    names = dict.fromkeys(name for result in results for name in result.milliseconds)
    return {name: float(np.median([one.milliseconds.get(name, 0.0) for one in results])) for name in names}


def _span(session: Session, pipeline: DevicePipeline, frame: Frame) -> list[float]:
    """Return the device time from a frame's first step to its last, for pixels that are on the device already."""
    driver, rounds = session.driver, session.rounds(ROUNDS)
    times = []
    with Workspace(driver) as work:
        on_device = work.frame(frame)
        work.stream.synchronise()
        with closing(driver.event(timing=True)) as first, closing(driver.event(timing=True)) as last:
            for number in range(rounds + min(WARMUP, rounds)):
                first.record(pipeline.stream)
                pending = pipeline.submit(on_device)
                last.record(pipeline.stream)
                pipeline.finish(pending)
                last.synchronise()
                if number >= min(WARMUP, rounds):
                    times.append(last.milliseconds_since(first))
    return times


def _share(entry: dict[str, Any], networks: dict[str, Any], size: str, faces: int) -> dict[str, Any]:
    """Return the networks' own time for this frame and how many times it the whole device time is."""
    batches = {int(name): found["p50"] for name, found in networks["face"].items()}
    fitting = [number for number in batches if number >= faces]
    if not fitting:
        return {"networks": None, "over_networks": None}
    alone = networks["detector"][size]["p50"] + batches[min(fitting)]
    return {
        "networks": round(alone, 5),
        "over_networks": round(entry["device"] / alone, 3) if alone else None,
    }
