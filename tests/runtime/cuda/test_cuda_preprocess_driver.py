"""Letterbox, crops and boxes over the shipped driver layer, on the fake driver, in processes of their own."""

from __future__ import annotations

import pytest

import preprocess_on_driver
from fake_cuda import run_with_fake
from shim import shim_library


@pytest.mark.parametrize("guard", [0, 1])
def test_the_device_answers_as_the_host(guard: int) -> None:
    """With a guard, a kernel that reads or writes a byte behind an allocation dies."""
    code = f"import {preprocess_on_driver.__name__} as script; script.main()"
    run_with_fake(code, shim=shim_library(), settings={"GUARD": guard})
