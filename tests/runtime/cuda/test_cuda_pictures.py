"""What the picture kernels share: float16 by hand on the host, and what the compiler for devices makes of them."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from shim import compile_shim, shim_library
from vultus.cuda.code.nvrtc import Nvrtc, find_compilers
from vultus.cuda.code.sources import ARCHITECTURES, kernel_names, kernel_sources

UNIT = """
#include "common.cuh"
extern "C" __global__ void to_half(const float* values, unsigned short* out, int count) {
    const int at = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (at < count) out[at] = picture::half_bits(values[at]);
}
VULTUS_KERNEL(to_half)
"""
FILES = ("common.cuh", "crops.cu", "draw.cu", "letterbox.cu")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    shim_library()  # skips where there is no compiler
    path: Path = tmp_path_factory.mktemp("half") / "half.so"
    compile_shim(UNIT, path)
    return ctypes.CDLL(str(path))


def halves(library: ctypes.CDLL, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    out = np.zeros(len(values), np.uint16)
    arguments = [
        ctypes.c_void_p(values.ctypes.data),
        ctypes.c_void_p(out.ctypes.data),
        ctypes.c_int(len(values)),
    ]
    pointers = (ctypes.c_void_p * 3)(*map(ctypes.addressof, arguments))
    library.shim_to_half(pointers, *map(ctypes.c_uint, (-(-len(values) // 256), 1, 1, 256, 1, 1)))
    return out


def test_halves_round_as_ieee_754_says(library: ctypes.CDLL) -> None:
    # Every float16 with its neighbours, every midpoint with its neighbours, and numbers of every size.
    exact = np.arange(0x7C01, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = (exact[:-1] + exact[1:])[:-1] / 2
    anything = np.random.default_rng(1).integers(0, 0x7F800001, 200_000, np.uint32)
    bits = np.concatenate([exact.view(np.uint32), middles.view(np.uint32), anything])
    bits = np.concatenate([bits, bits + 1, np.maximum(bits, 1) - 1])
    bits = bits[bits <= 0x7F800000]
    values = np.concatenate([bits, bits | 0x80000000]).astype(np.uint32).view(np.float32)
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(halves(library, values), expected)


def test_what_is_no_number_stays_none(library: ctypes.CDLL) -> None:
    values = np.array([0x7FC00000, 0x7F800001, 0xFFC00000], np.uint32).view(np.float32)
    assert np.isnan(halves(library, values).view(np.float16)).all()


@pytest.fixture(scope="module")
def compiler() -> Nvrtc:
    found = find_compilers()
    if not found:
        pytest.skip("no NVRTC is installed: pip install nvidia-cuda-nvrtc")
    return max(found, key=lambda one: one.version)


def picture_sources() -> dict[str, str]:
    sources = {name: text for name, text in kernel_sources().items() if name in FILES}
    assert set(sources) == set(FILES)
    return sources


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_pictures_compile_for_every_architecture(compiler: Nvrtc, architecture: int) -> None:
    if architecture not in compiler.architectures():
        pytest.skip(f"NVRTC {compiler.name} does not know sm_{architecture}")
    code = compiler.machine_code(picture_sources(), architecture)
    assert all(name.encode() in code for name in kernel_names(picture_sources()))


def test_the_compiler_makes_what_was_meant(compiler: Nvrtc) -> None:
    assembly = compiler.assembly(picture_sources(), compiler.architectures()[0]).decode()
    # Doubles are slow on most devices, and a product that is fused with a sum has other bits than the host's.
    assert ".f64" not in assembly
    bodies = {text.split("(")[0]: text for text in assembly.split(".entry ")[1:]}
    assert set(bodies) == set(kernel_names(picture_sources()))
    for kind in ("colour", "grey", "nv12"):
        letterbox = bodies[f"vultus_letterbox_{kind}"]
        assert "fma" not in letterbox
        assert "cvt.rn.f16.f32" in letterbox
