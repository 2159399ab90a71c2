"""The benchmark on the device pipeline: shipped kernels and networks on the fake driver."""

from __future__ import annotations

from fake_cuda import run_with_fake
from shim import shim_library


def test_every_scenario_drives_the_device_pipeline() -> None:
    run_with_fake("import cases_bench as cases; cases.loops()", shim=shim_library())
