"""The kernels on a GPU against what the same sources gave when g++ compiled them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.cuda.code.modules import Kernels
from vultus.cuda.driver import Driver
from vultus.selftest.cases import CASES
from vultus.selftest.golden import load_golden
from vultus.selftest.launches import LaunchLog
from vultus.selftest.report import Check, checked
from vultus.selftest.workspace import Workspace

__all__ = ["check_kernels", "differing_words", "outputs_of_cases"]

TOLERANCE = 1e-5
"""Largest difference, relative or absolute, of numbers that are not equal bit for bit."""

SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)

Arrays = dict[str, npt.NDArray[Any]]


def outputs_of_cases(driver: Driver, kernels: Kernels) -> Iterator[tuple[str, Arrays, list[str]]]:
    """Run every case; yield its name, what it wrote, and the names of the kernels that it launched."""
    for case in CASES:
        log = LaunchLog(driver)
        with Workspace(log.driver) as work:
            written = case.run(work, kernels)
        yield case.name, written, sorted({launch.name for launch in log.launches})


def check_kernels(driver: Driver, kernels: Kernels) -> Iterator[Check]:
    """Yield one check for each case; figures: words compared, those that differ in a bit, largest difference."""
    golden = load_golden()
    for case in CASES:
        checks: list[Check] = []
        with checked(checks, "kernels", case.name) as figures, Workspace(driver) as work:
            expected = golden.under(f"kernels/{case.name}")
            _compare(expected, case.run(work, kernels), figures)
        yield from checks


def _compare(expected: Arrays, written: Arrays, figures: dict[str, float]) -> None:
    if sorted(expected) != sorted(written):
        raise AssertionError(f"wrote {sorted(written)}, expected {sorted(expected)}")
    figures.update(words=0, differing=0, largest=0.0)
    for name, array in written.items():
        words, differing, largest = differing_words(expected[name], array)
        figures["words"] += words
        figures["differing"] += differing
        figures["largest"] = max(figures["largest"], largest)
        if largest > TOLERANCE:
            raise AssertionError(f"{name}: {differing} of {words} words differ, by {largest:.3g} at most")


def differing_words(expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> tuple[int, int, float]:
    """Compare arrays word by word: how many words, how many differ in a bit, and by how much as float32.

    Pixels and half-precision numbers must be equal byte for byte. Words that are no normal float on both sides -
    counts, tracks, poison, NaN - must be equal bit for bit; a difference there counts as infinite.
    """
    if expected.shape != found.shape or expected.dtype != found.dtype:
        raise AssertionError(f"shape {found.shape} {found.dtype}, expected {expected.shape} {expected.dtype}")
    unit = np.uint32 if expected.dtype.itemsize % 4 == 0 else np.uint8
    a, b = (np.ascontiguousarray(side).reshape(-1).view(np.uint8).view(unit) for side in (expected, found))
    apart = a != b
    if not apart.any():
        return a.size, 0, 0.0
    if unit is np.uint8:
        return a.size, int(apart.sum()), np.inf
    x, y = (side[apart].view(np.float32).astype(np.float64) for side in (a, b))
    real = np.ones(len(x), bool)
    for side in (x, y):
        real &= np.isfinite(side) & ((side == 0) | (np.abs(side) >= SMALLEST_NORMAL))
    both_nan = np.isnan(x) & np.isnan(y)
    x, y = np.where(real, x, 0), np.where(real, y, 0)
    gap = np.abs(x - y) / np.maximum(np.maximum(np.abs(x), np.abs(y)), 1)
    gap = np.where(real, gap, np.where(both_nan, 0.0, np.inf))
    return a.size, int(apart.sum()), float(gap.max())
