"""The GPU's self-test on the tests' driver: every kernel is covered, and a wrong answer is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fake_cuda import run_with_fake
from gpu.golden import kernel_arrays
from shim import shim_library
from vultus.cuda.code.sources import kernel_names, kernel_sources
from vultus.selftest.golden import load_golden
from vultus.selftest.kernels import differing_words

RUN = """
import sys
from vultus.engines.device import DEVICE_ENGINES
DEVICE_ENGINES[".onnx"] = "host_device_engine"  # ONNX Runtime's CPU on the driver's memory
from vultus.selftest import pipeline
few = dict(list(pipeline.pictures().items())[:3])
pipeline.pictures = lambda: few
{before}
sys.argv = ["vultus", "selftest", "--device", "cuda", "--frames", "4", "--json"]
from vultus.cli import main
main()
"""

SPOILED = """
from vultus.selftest import golden, kernels
real = golden.load_golden()
arrays = {name: array.copy() for name, array in real.arrays.items()}
arrays["kernels/align/affines"][1, 0, 0] += 0.001
kernels.load_golden = lambda: golden.Golden(arrays, real.origin)
"""

NO_ENGINE = 'DEVICE_ENGINES[".onnx"] = "no_such_module"\n'


def selftest(before: str = "") -> tuple[int, Any, str]:
    done = run_with_fake(RUN.format(before=before), shim=shim_library(), check=False, timeout=300)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_cases_cover_every_kernel_and_give_the_packaged_results() -> None:
    arrays, launched = kernel_arrays()
    assert sorted({name for names in launched.values() for name in names}) == kernel_names(kernel_sources())
    packaged = load_golden().under("kernels")
    assert sorted(arrays) == sorted(packaged)
    differing = [name for name, array in arrays.items() if differing_words(packaged[name], array)[1]]
    assert differing == []


def test_it_passes_where_kernels_and_pipeline_are_right() -> None:
    code, report, said = selftest()
    assert code == 0, f"{report}{said}"
    assert report["device"].startswith("Fake CUDA device 0")
    parts = [check["part"] for check in report["checks"]]
    assert {name: parts.count(name) for name in parts} == {"kernels": 25, "pipeline": 3, "frames": 1}
    (frames,) = (check["figures"] for check in report["checks"] if check["part"] == "frames")
    assert (frames["frames"], frames["allocations"], frames["device_mb"]) == (4, 0, 0)


@pytest.mark.parametrize(
    ("before", "part", "detail"),
    [
        (SPOILED, "kernels", "affines: 1 of 24 words differ, by 0.001 at most"),
        (NO_ENGINE, "pipeline", "no_such_module"),
    ],
)
def test_it_fails_with_the_reason(before: str, part: str, detail: str) -> None:
    code, report, _ = selftest(before)
    assert code == 1
    (failed,) = (check for check in report["checks"] if check["status"] == "failed")
    assert failed["part"] == part
    assert detail in failed["detail"]
    assert not report["passed"]
