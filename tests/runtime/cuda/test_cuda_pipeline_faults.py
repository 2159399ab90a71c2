"""Streams of frames, threads, forks, and everything that can fail on the device path."""

from __future__ import annotations

import pytest

from fake_cuda import run_with_fake
from shim import shim_library

CASES = [
    "stream",
    "stream_ends",
    "threads",
    "fork",
    "closing",
    "lost",
    "out_of_memory",
    "recovers",
    "uncapturable",
]


@pytest.mark.parametrize("case", CASES)
def test_the_device_pipeline(case: str) -> None:
    run_with_fake(f"import cases_faults as cases; cases.{case}()", shim=shim_library())
