"""The shim that runs kernels on the host: threads that wait for each other, atomics, roundings, order."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from shim import compile_shim, shim_library

UNIT = """
// Sums of blocks of 64 by halves; each step reads what other threads wrote in the step before.
extern "C" __global__ void add_up(const int* values, int* sum, int count) {
    __shared__ int part[64];
    const int at = int(blockIdx.x * blockDim.x + threadIdx.x), own = int(threadIdx.x);
    part[own] = at < count ? values[at] : 0;
    __syncthreads();
    for (int half = 32; half > 0; half /= 2) {
        if (own < half) part[own] += part[own + half];
        __syncthreads();
    }
    if (own == 0) atomicAdd(sum, part[0]);
}
VULTUS_KERNEL(add_up)

extern "C" __global__ void warps(int* sums, unsigned* votes, int* shifted) {
    int sum = int(threadIdx.x);
    for (int mask = 16; mask > 0; mask /= 2) sum += __shfl_xor_sync(~0u, sum, mask);
    sums[threadIdx.x] = sum;
    votes[threadIdx.x] = __ballot_sync(~0u, threadIdx.x % 3 == 0);
    shifted[threadIdx.x] = __shfl_down_sync(~0u, int(threadIdx.x), 5);
}
VULTUS_KERNEL(warps)

extern "C" __global__ void race(int* last, float) { *last = int(threadIdx.x); }
VULTUS_KERNEL(race)

extern "C" __global__ void round_all(const float* values, int* nearest, int* down) {
    nearest[threadIdx.x] = __float2int_rn(values[threadIdx.x]);
    down[threadIdx.x] = __float2int_rd(values[threadIdx.x]);
}
VULTUS_KERNEL(round_all)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    shim_library()  # skips where there is no compiler
    path: Path = tmp_path_factory.mktemp("shim") / "unit.so"
    compile_shim(UNIT, path)
    return ctypes.CDLL(str(path))


def launch(library: ctypes.CDLL, name: str, grid: int, block: int, *arguments: Any) -> None:
    values = [
        ctypes.c_void_p(one.ctypes.data) if isinstance(one, np.ndarray) else ctypes.c_int(one)
        for one in arguments
    ]
    pointers = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
    getattr(library, f"shim_{name}")(pointers, *map(ctypes.c_uint, (grid, 1, 1, block, 1, 1)))


@pytest.mark.parametrize("backwards", [0, 1])
def test_threads_wait_for_their_block_and_their_warp(library: ctypes.CDLL, backwards: int) -> None:
    values = np.random.default_rng(1).integers(0, 1000, 1000, np.int32)
    total, sums, shifted = np.zeros(1, np.int32), np.zeros(96, np.int32), np.zeros(96, np.int32)
    votes = np.zeros(96, np.uint32)
    library.shim_reverse(backwards)
    launch(library, "add_up", 16, 64, values, total, len(values))
    launch(library, "warps", 1, 96, sums, votes, shifted)
    library.shim_reverse(0)
    assert total[0] == values.sum()
    for first in (0, 32, 64):
        lanes = np.arange(first, first + 32)
        assert (sums[lanes] == lanes.sum()).all()
        assert (votes[lanes] == sum(1 << n for n, lane in enumerate(lanes) if lane % 3 == 0)).all()
        np.testing.assert_array_equal(shifted[lanes], np.r_[lanes[5:], lanes[27:]])


def test_the_order_can_be_turned_round(library: ctypes.CDLL) -> None:
    last: npt.NDArray[np.int32] = np.zeros(1, np.int32)
    for backwards, expected in ((0, 63), (1, 0)):
        library.shim_reverse(backwards)
        launch(library, "race", 1, 64, last, 0)
        assert last[0] == expected
    library.shim_reverse(0)


def test_sizes_of_parameters_are_told(library: ctypes.CDLL) -> None:
    sizes = (ctypes.c_uint * 64)()
    assert library.shim_add_up_parameters(sizes) == 3
    assert list(sizes)[:3] == [8, 8, 4]
    assert library.shim_race_parameters(sizes) == 2
    assert list(sizes)[:2] == [8, 4]


def test_numbers_round_as_on_a_device(library: ctypes.CDLL) -> None:
    values = np.array([0.5, 1.5, -0.5, -1.5, 2.4999, -7.2, 3e9, -3e9, np.nan], np.float32)
    nearest, down = np.zeros(len(values), np.int32), np.zeros(len(values), np.int32)
    launch(library, "round_all", 1, len(values), values, nearest, down)
    most, least = 2**31 - 1, -(2**31)
    assert nearest.tolist() == [0, 2, 0, -2, 2, -7, most, least, 0]
    assert down.tolist() == [0, 1, -1, -2, 2, -8, most, least, 0]


def test_the_compilers_words_come_through(tmp_path: Path) -> None:
    shim_library()
    with pytest.raises(RuntimeError, match=r"g\+\+ refused the kernels:\n(.|\n)*no_such_thing"):
        compile_shim("int a = no_such_thing;", tmp_path / "never.so")
