"""The fused pipeline reads pictures of every format where they lie, or says why it cannot."""

from __future__ import annotations

import pytest

from fake_cuda import run_with_fake
from shim import shim_library

CASES = ["host_formats", "device_formats", "device_order", "refusals"]


@pytest.mark.parametrize("case", CASES)
def test_the_device_pipeline(case: str) -> None:
    run_with_fake(f"import cases_inputs as cases; cases.{case}()", shim=shim_library(), settings={"GUARD": 1})
