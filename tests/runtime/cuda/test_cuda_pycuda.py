"""vultus beside real pycuda programs, on the fake driver; skipped where pycuda is not installed."""

from __future__ import annotations

import importlib.util

import pytest

from fake_cuda import run_with_fake

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pycuda") is None,
    reason="pycuda is not installed; it builds only beside a CUDA toolkit",
)
BESIDE = """
import gc, threading
import numpy as np
from driver_cases import opened, probe
import pycuda.driver, {context}
from pycuda.gpuarray import to_gpu
values = np.arange(12, dtype=np.float32)
theirs = pycuda.driver.Context.get_current()
before = to_gpu(values)
driver = opened({carrier!r})
stream, back = driver.stream(), np.zeros_like(values)
driver.copy(back.ctypes.data, before.ptr, values.nbytes, stream)
assert np.array_equal(back, values)
with driver.current():
    inside = to_gpu(values + 1)
    del before
    gc.collect()
assert pycuda.driver.Context.get_current() == theirs
assert np.array_equal((inside).get(), values + 1)
memory = driver.allocate(48)
pycuda.driver.memcpy_htod(memory.pointer, values)
driver.copy(back.ctypes.data, memory.pointer, 48, stream)
assert np.array_equal(back, values)
thread = threading.Thread(target=lambda: driver.allocate(10).close())
thread.start()
thread.join()
del inside
gc.collect()
memory.close()
assert (probe("live"), probe("depth")) == (0, 1), (probe("live"), probe("depth"))
{end}
assert pycuda.driver.Context.get_current() == theirs
assert np.array_equal(to_gpu(values).get(), values)
"""


@pytest.mark.parametrize("end", ["driver.close()", ""])
@pytest.mark.parametrize("context", ["pycuda.autoinit", "pycuda.autoprimaryctx"])
@pytest.mark.parametrize("carrier", ["pycuda", "cuda-bindings"])
def test_a_pycuda_program_goes_on_as_before(carrier: str, context: str, end: str) -> None:
    done = run_with_fake(BESIDE.format(carrier=carrier, context=context, end=end))
    assert done.stderr == ""


def test_a_context_that_another_library_pushed_over_pycudas_is_put_back() -> None:
    code = """
import ctypes, pycuda.autoinit
from driver_cases import opened, probe
from vultus.cuda.driver.libcuda import LibCuda
raw, cuda, other = ctypes.CDLL("libcuda.so.1"), LibCuda(), ctypes.c_void_p()
driver = opened("pycuda")
assert raw.cuCtxCreate_v2(ctypes.byref(other), 0, 0) == 0
driver.allocate(10).close()
assert cuda.cuCtxGetCurrent() == (0, other.value)
assert probe("depth") == 2
raw.cuCtxDestroy_v2(other)
assert cuda.cuCtxGetCurrent() == (0, pycuda.autoinit.context.handle)
"""
    assert run_with_fake(code).stderr == ""
