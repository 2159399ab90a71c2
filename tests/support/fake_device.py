"""Analyzers on the fake driver and on the CPU side by side: what the device pipeline's cases share."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

import host_device_engine
import tiny
from tolerances import assert_faces_close
from vultus import Analyzer
from vultus.cuda.driver import Driver
from vultus.engines.device import DEVICE_ENGINES
from vultus.types import FaceArray, Result

__all__ = [
    "Pixels",
    "assert_same_faces",
    "both",
    "calls",
    "crowd",
    "driver_of",
    "fail",
    "fake",
    "nothing_left",
    "same",
    "tiny_models",
]

DEVICE_ENGINES[".onnx"] = "host_device_engine"
fake = ctypes.CDLL("libcuda.so.1")

Pixels = npt.NDArray[np.uint8]


def calls(name: str) -> int:
    """Return how often a driver function was called in this process."""
    return int(fake.fake_cuda_calls(name.encode()))


def fail(name: str, nth: int, code: int, lost: bool = False) -> None:
    """Let a later call of a driver function fail."""
    fake.fake_cuda_fail(name.encode(), nth, code, int(lost))


def nothing_left() -> None:
    """Check that everything was freed and no network failed unseen."""
    gc.collect()
    left = {
        name: int(getattr(fake, f"fake_cuda_{name}")()) for name in ("live", "graphs", "modules", "depth")
    }
    assert not any(left.values()), f"left behind: {left}"
    assert not host_device_engine.failures, host_device_engine.failures[0]


@contextmanager
def tiny_models(**changes: Any) -> Iterator[list[Path]]:
    """Write the tiny models; changes: of the detector's part of its spec."""
    assert tiny.DETECTOR.detector is not None
    detector = replace(tiny.DETECTOR, detector=replace(tiny.DETECTOR.detector, **changes))
    with TemporaryDirectory() as folder:
        at = Path(folder)
        yield [
            tiny.save_detector(at / "detector.onnx", detector),
            tiny.save_face_network(at / "face.onnx"),
        ]


@contextmanager
def both(models: list[Path] | None = None, **options: Any) -> Iterator[tuple[Analyzer, Analyzer]]:
    """Open the same models on the CPU and on the fake device."""
    with (
        Analyzer("cpu", models, threads=1, **options) as host,
        Analyzer("cuda", models, **options) as device,
    ):
        yield host, device


def crowd(count: int, width: int = 320, height: int = 240) -> Pixels:
    """Return a picture of so many white squares."""
    places = [(x, y) for y in range(0, height - 15, 32) for x in range(0, width - 15, 32)]
    return tiny.squares(width, height, *places[:count])


def same(got: Result, want: Result) -> None:
    assert (got.index, got.time) == (want.index, want.time)
    assert_same_faces(got.faces, want.faces)


def assert_same_faces(got: FaceArray, want: FaceArray) -> None:
    """Compare records as sets: squares of one score may come in another order."""

    def ordered(faces: FaceArray) -> FaceArray:
        return faces[np.lexsort((np.round(faces["box"][:, 0]), np.round(faces["box"][:, 1])))]

    assert (np.diff(got["score"]) <= 0).all()
    assert_faces_close(ordered(got), ordered(want))


def driver_of(analyzer: Analyzer) -> Driver:
    """Return the driver of an Analyzer that runs on the fake."""
    assert analyzer.driver is not None
    return analyzer.driver
