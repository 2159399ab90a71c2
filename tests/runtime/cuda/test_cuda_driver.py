"""The driver layer over every package, on the fake driver: the same verbs, the same errors."""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

import driver_cases
from fake_cuda import run_with_fake
from shim import compile_shim

CARRIERS = ("cuda-bindings", "libcuda", "pycuda")
KERNEL = """
extern "C" __global__ void vultus_test_scale(float* values, int count, float factor, unsigned offset) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) values[i] = values[i] * factor + offset;
}
VULTUS_KERNEL(vultus_test_scale)
"""


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("kernels") / "libkernels.so"
    try:
        compile_shim(KERNEL, library)
    except FileNotFoundError:
        pytest.skip("g++ is not installed, so kernels cannot run on the host")
    return library


@functools.cache
def results(carrier: str, kernels: Path) -> dict[str, str]:
    """Run all cases over one package in one process."""
    if carrier == "pycuda" and importlib.util.find_spec("pycuda") is None:
        pytest.skip("pycuda is not installed; it builds only beside a CUDA toolkit")
    script = f"import sys; sys.argv = ['', {carrier!r}]; import driver_cases; driver_cases.main({carrier!r})"
    found: dict[str, str] = json.loads(run_with_fake(script, shim=kernels).stdout)
    return found


@pytest.mark.parametrize("case", driver_cases.CASES)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_every_package_speaks_the_verbs(carrier: str, case: str, kernels: Path) -> None:
    problem = results(carrier, kernels)[case]
    assert not problem, problem


def quiet(done: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether a program ended well and said nothing; pycuda tells of a lost device by itself."""
    said = [line for line in done.stderr.splitlines() if "PyCUDA WARNING" not in line]
    return done.returncode == 0 and all(line.endswith("unspecified launch failure") for line in said)


OPEN = (
    "from driver_cases import *; d = opened('cuda-bindings'); m = d.allocate(10); h = d.allocate_host(10)\n"
)
OPEN += "s = d.stream(); e = d.event(); a = h.array\n"


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    "end",
    [
        "",
        "d.close()",
        "import gc; c = [d, m]; c.append(c); del d, m, s; gc.disable()",
        "import threading; threading.Thread(target=d.allocate, args=(5,)).start()",
        "from driver_cases import fail; fail('cuStreamSynchronize', 719, 0, True)\n"
        "try: s.synchronise()\nexcept Exception: pass",
    ],
)
def test_nothing_is_said_at_the_end_of_the_program(carrier: str, end: str) -> None:
    if carrier == "pycuda" and importlib.util.find_spec("pycuda") is None:
        pytest.skip("pycuda is not installed; it builds only beside a CUDA toolkit")
    done = run_with_fake(OPEN.replace("cuda-bindings", carrier) + end, check=False)
    assert quiet(done), done
