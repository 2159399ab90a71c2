"""The fused pipeline gives the CPU's records: shipped kernels and networks on the fake driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_cuda import run_with_fake
from shim import shim_library

SETTINGS = {"mapped": {"INTEGRATED": 1}, "counts": {"GUARD": 1}}
CASES = [
    "photograph",
    "counts",
    "limited_engine",
    "graphs",
    "sizes",
    "parts",
    "flat",
    "mapped",
    "host_decoder",
]


@pytest.mark.parametrize("case", CASES)
def test_the_device_pipeline(case: str) -> None:
    run_with_fake(
        f"import cases_results as cases; cases.{case}()", shim=shim_library(), settings=SETTINGS.get(case)
    )


@pytest.mark.slow
def test_a_cascade_on_the_device(mtcnn_folder: Path) -> None:
    run_with_fake(f"import cases_results as cases; cases.cascade({str(mtcnn_folder)!r})", shim=shim_library())
