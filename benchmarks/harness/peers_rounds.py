"""Timing peers in turn: in each round every one analyses the picture for a while, so that noise hits all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.latency import compared
from harness.peers_install import NotThere
from harness.peers_picture import Scene
from harness.peers_talk import Talk
from vultus.bench.samples import latency_of

__all__ = ["LEAST", "Timing", "compare_with", "rounds_of"]

LEAST = 3
"""Calls in a round at least, however slow a peer is."""

Say = Callable[[str], None]


@dataclass
class Timing:
    """What was measured of one peer at one number of threads. blocks: ns of each call of each round.

    cpu: ns of processor time of a call, mean of each round. first: ns of the first picture after the start.
    """

    opened: dict[str, Any]
    first: int
    faces: int
    blocks: list[list[int]] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: float = 0.0

    @property
    def medians(self) -> Any:
        """Return the median ms of each round, (rounds,)."""
        return np.array([np.median(block) for block in self.blocks]) / 1e6

    def figures(self) -> dict[str, Any]:
        """Return the figures of a row; p90 is None where the samples do not support it."""
        samples = np.array([sample for block in self.blocks for sample in block], np.int64)
        latency = latency_of(samples)
        p90 = latency.at(0.9) if latency else None
        return {
            "p50_ms": round(float(np.median(samples)) / 1e6, 3),
            "p90_ms": None if p90 is None else round(p90, 3),
            "cpu_ms": round(float(np.median(self.cpu)) / 1e6, 3),
            "samples": len(samples),
            "rss_mib": round(self.peak, 1),
            "loaded_rss_mib": round(self.opened["rss_mib"], 1),
            "first_ms": round(self.first / 1e6, 1),
        }


def rounds_of(
    talks: Mapping[str, Talk], scene: Scene, rounds: int, seconds: float, failed: dict[str, str], say: Say
) -> dict[str, Timing]:
    """Time all peers in turn; one that fails on the way leaves the rounds and is put into `failed` with the reason.

    seconds: how long each peer works in a round, after a call that is not counted.
    """
    timings: dict[str, Timing] = {}
    for name, talk in talks.items():
        with _excused(name, failed):
            answer = talk.run(scene.pixels)
            timings[name] = Timing(talk.opened, answer["ns"][0], len(answer["faces"]))
    for number in range(rounds):
        names = [name for name in timings if name not in failed]
        began = time.perf_counter()
        first = number % max(len(names), 1)
        for name in names[first:] + names[:first]:
            with _excused(name, failed):
                _block(talks[name], timings[name], scene, seconds)
        say(f"round {number + 1} of {rounds}: {len(names)} peers, {time.perf_counter() - began:.1f} s")
    return {name: timing for name, timing in timings.items() if name not in failed}


class _excused:
    """Notes the failure of a peer in place of ending the whole measurement."""

    def __init__(self, name: str, failed: dict[str, str]) -> None:
        self._name, self._failed = name, failed

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, NotThere):
            self._failed[self._name] = str(error)
            return True
        return False


def _block(talk: Talk, timing: Timing, scene: Scene, seconds: float) -> None:
    """Warm the caches that the others used with one call, then count as many as fit into the seconds."""
    warm = talk.run(scene.pixels)["ns"][0]
    times = max(LEAST, math.ceil(seconds * 1e9 / warm))
    answer = talk.run(scene.pixels, min(times, 1000))
    timing.blocks.append(answer["ns"])
    timing.cpu.append(answer["cpu_ns"] / len(answer["ns"]))
    timing.peak = max(timing.peak, answer["peak_mib"])
    timing.faces = len(answer["faces"])


def compare_with(timings: Mapping[str, Timing], reference: str) -> dict[str, dict[str, Any]]:
    """Return for each peer the ratio of its time to the reference's in the same rounds with its 95 % interval."""
    if reference not in timings:
        return {name: {"ratio": None, "ratio_ci95": None} for name in timings}
    base = timings[reference].medians
    found = {name: compared(timing.medians, base, name) for name, timing in timings.items()}
    return {name: {"ratio": one["ratio"], "ratio_ci95": one["ci95"]} for name, one in found.items()}
