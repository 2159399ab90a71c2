"""The cores dealt out over the workers of a run that is spread: two that share them wait for each other."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["take_own_cores"]


def take_own_cores(environment: Mapping[str, str]) -> None:
    """Keep this worker, all that it starts included, on its share of the cores; do nothing in a run of one process.

    The thread pools of PyTorch, ONNX Runtime and OpenCV take as many threads as there are cores and wait for each
    other without sleeping. With a pool in every worker a test then takes several times as long as on one core.
    environment: where pytest-xdist has written the worker's name and how many there are.
    """
    workers = int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1 or not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    first = int(environment["PYTEST_XDIST_WORKER"].removeprefix("gw")) % len(cores)
    os.sched_setaffinity(0, cores[first::workers])
