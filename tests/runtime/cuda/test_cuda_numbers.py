"""The kernels' own functions of single numbers against numpy's in double precision."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from shim import compile_shim, shim_library

UNIT = """
#include "numbers.cuh"
extern "C" void exp_all(const float* x, const float*, float* out, int n) {
    for (int i = 0; i < n; i++) out[i] = numbers::exp_of(x[i]);
}
extern "C" void sigmoid_all(const float* x, const float*, float* out, int n) {
    for (int i = 0; i < n; i++) out[i] = numbers::sigmoid_of(x[i]);
}
extern "C" void degrees_all(const float* y, const float* x, float* out, int n) {
    for (int i = 0; i < n; i++) out[i] = numbers::degrees_of(y[i], x[i]);
}
extern "C" void products_all(const float* a, const float* b, float* out, int n) {
    for (int i = 0; i < n; i++) out[i] = numbers::difference_of_products(a[i], b[i], b[i], a[n - 1 - i]);
}
"""

Values = npt.NDArray[np.float32]
Call = Callable[..., Values]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Call:
    shim_library()  # skips where there is no compiler
    target: Path = tmp_path_factory.mktemp("numbers") / "numbers.so"
    compile_shim(UNIT, target)
    library = ctypes.CDLL(str(target))

    def run(name: str, first: npt.ArrayLike, second: npt.ArrayLike = 0.0) -> Values:
        a, b = (np.ascontiguousarray(v, np.float32) for v in np.broadcast_arrays(first, second))
        out = np.empty(a.shape, np.float32)
        getattr(library, f"{name}_all")(*(ctypes.c_void_p(v.ctypes.data) for v in (a, b, out)), a.size)
        return out

    return run


def test_exponentials_are_right_to_the_last_place(call: Call) -> None:
    x = np.linspace(-87, 88.7, 400_001, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(call("exp", x) - exact) / np.spacing(exact.astype(np.float32))).max() <= 1.0


def test_exponentials_end_in_zero_and_infinity(call: Call) -> None:
    found = call("exp", [0.0, -0.0, -200.0, -3e38, 89.0, 200.0, 3e38, -100.0])
    np.testing.assert_array_equal(found[:7], [1, 1, 0, 0, np.inf, np.inf, np.inf])
    np.testing.assert_allclose(found[7], np.exp(-100.0), rtol=0, atol=2e-45)


def test_sigmoids_lose_nothing_at_either_end(call: Call) -> None:
    x = np.linspace(-100, 100, 200_001, dtype=np.float32)
    exact = 1 / (1 + np.exp(-np.clip(x.astype(np.float64), -80, 80)))
    np.testing.assert_allclose(call("sigmoid", x), exact, rtol=3e-7, atol=0)
    assert (np.diff(call("sigmoid", np.linspace(-20, 20, 41))) >= 0).all()


def test_directions_are_exact_to_the_rounding(call: Call) -> None:
    turns = np.linspace(-np.pi, np.pi, 100_001)
    for length in (1e-30, 1.0, 3e30):
        y, x = (np.asarray(length * side, np.float32) for side in (np.sin(turns), np.cos(turns)))
        exact = np.degrees(np.arctan2(y.astype(np.float64), x.astype(np.float64)))
        off = call("degrees", y, x) - exact
        assert np.abs(off - 360 * np.round(off / 360)).max() <= 2e-5


@pytest.mark.parametrize(
    ("y", "x", "degrees"),
    [(0, 1, 0), (1, 0, 90), (-1, 0, -90), (0, -1, 180), (0, 0, 0), (1, 1, 45), (-2, -2, -135)],
)
def test_directions_along_the_axes(call: Call, y: float, x: float, degrees: float) -> None:
    assert call("degrees", [y], [x])[0] == np.float32(degrees)


def test_products_that_nearly_cancel_keep_their_difference(call: Call) -> None:
    rng = np.random.default_rng(0)
    a = np.asarray(rng.uniform(3000, 4000, 1000), np.float32)
    a[500:] = a[:500][::-1] * np.float32(1 + 1e-6)
    b = np.asarray(rng.uniform(1, 2, 1000), np.float32)
    exact = a.astype(np.float64) * b - b.astype(np.float64) * a[::-1]
    np.testing.assert_allclose(call("products", a, b), exact, rtol=2.5e-7, atol=0)
