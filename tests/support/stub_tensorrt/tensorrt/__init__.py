"""A STUB of TensorRT for tests: the recorded interface under its name. See ../README.md."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import recorded_tensorrt

PAUSE = float(os.environ.get("VULTUS_STUB_PAUSE", "0"))
HELD, _, HOLD = os.environ.get("VULTUS_STUB_HOLD", "").partition(" ")


class Slowly:
    """A progress monitor whose steps take time."""

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor

    def step_complete(self, name: str, step: int) -> Any:
        goes_on = self._monitor.step_complete(name, step)
        time.sleep(PAUSE)
        while HOLD and any(HELD in argument for argument in sys.argv) and os.path.exists(HOLD):
            time.sleep(0.02)
        return goes_on

    def __getattr__(self, name: str) -> Any:
        return getattr(self._monitor, name)


def slow_down() -> None:
    from vultus_export.tensorrt import progress

    progress.LOG_EVERY = progress.REDRAW_EVERY
    steps = recorded_tensorrt._steps
    recorded_tensorrt._steps = lambda monitor: steps(Slowly(monitor) if monitor else None)


def spoil(trt: Any) -> None:
    """Let builds mark their engines as spoiled where that is asked for, and let marked ones give wrong numbers."""
    build, compute = trt.Builder.build_serialized_network, trt.IExecutionContext._computed

    def built(self: Any, network: Any, config: Any) -> bytes | None:
        data = build(self, network, config)
        wrong = data and os.environ.get("VULTUS_STUB_SPOIL")
        return json.dumps({**json.loads(data), "spoiled": True}).encode() if wrong else data

    def computed(self: Any, batch: Any) -> Any:
        values = compute(self, batch)
        return {name: value * 0.5 for name, value in values.items()} if self._plan.get("spoiled") else values

    trt.Builder.build_serialized_network, trt.IExecutionContext._computed = built, computed


def stub() -> Any:
    board = json.loads(os.environ.get("VULTUS_STUB_BOARD", "{}"))
    trt = recorded_tensorrt.module(os.environ.get("VULTUS_STUB_VERSION", "10.3.0"), **board)
    spoil(trt)
    if PAUSE or HOLD:
        slow_down()
    return trt


sys.modules[__name__] = stub()
