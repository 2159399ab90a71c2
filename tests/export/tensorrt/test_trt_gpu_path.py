"""The whole command as on an Orin: a driver library in C, the recorded TensorRT 10.3, layers timed by its profiler."""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import precision_nets
import recorded_tensorrt

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler"),
    pytest.mark.skipif(ctypes.util.find_library("cuda") is not None, reason="a real driver is here"),
]

DRIVER = """
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
static int live, pushed, retained;
int cuInit(unsigned f) { return 0; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, "Orin", n); return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 : a == 76 ? 7 : -1; return 0; }
int cuDriverGetVersion(int *v) { *v = 12060; return 0; }
int cuDevicePrimaryCtxRetain(void **c, int d) { *c = &live; retained++; return 0; }
int cuDevicePrimaryCtxRelease_v2(int d) { return --retained; }
int cuCtxPushCurrent_v2(void *c) { pushed++; return c == &live ? 0 : 201; }
int cuCtxPopCurrent_v2(void **c) { *c = &live; return --pushed || live; }
int cuMemAlloc_v2(uint64_t *p, size_t n) {
    if (ALLOC_ERROR) return ALLOC_ERROR;
    *p = (uint64_t)(uintptr_t)malloc(n); live++; return 0;
}
int cuMemsetD8_v2(uint64_t p, unsigned char v, size_t n) { memset((void *)(uintptr_t)p, v, n); return 0; }
int cuMemFree_v2(uint64_t p) { free((void *)(uintptr_t)p); live--; return 0; }
"""

ON_THE_DEVICE = """
import sys
sys.path.insert(0, sys.argv[1])
import recorded_tensorrt
sys.modules["tensorrt"] = recorded_tensorrt.module(sys.argv[2])
from vultus_export.tensorrt.command import app
app(sys.argv[3:])
"""


def on_an_orin(folder: Path, *arguments: str, alloc_error: int = 0) -> subprocess.CompletedProcess[str]:
    (folder / "driver.c").write_text(DRIVER)
    library = folder / "libcuda.so.1"
    command = [
        "cc",
        "-shared",
        "-fPIC",
        f"-DALLOC_ERROR={alloc_error}",
        str(folder / "driver.c"),
        "-o",
        str(library),
    ]
    subprocess.run(command, check=True)
    support = str(Path(recorded_tensorrt.__file__).parent)
    return subprocess.run(
        [sys.executable, "-c", ON_THE_DEVICE, support, "10.3.0", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(folder), "COLUMNS": "120"},
    )


def test_an_engine_is_built_proved_and_timed_on_the_gpu_that_is_there(tmp_path: Path) -> None:
    model = precision_nets.save_face(tmp_path / "face.onnx", "int8")
    done = on_an_orin(
        tmp_path, str(model), "--out", str(tmp_path), "--timing-cache", str(tmp_path / "timings")
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("TensorRT 10.3.0\n")
    assert "TensorRT 10.3.0, compute capability 8.7 (Orin); batch 1, 4, 32; 32x32" in done.stdout
    assert "Model int8; layers by the engine inspector" in done.stdout
    assert "not measured" not in done.stdout
    rows = {row.split()[1]: row.split() for row in done.stdout.splitlines() if row.startswith("│")}
    # One of three INT8 layers is the stem, of 3 ms; the other two take 0.25 ms each.
    assert rows["int8"][3] == "3"
    assert "3.500" in rows["int8"]
    sidecar = json.loads((tmp_path / "face.engine.json").read_text())
    assert (sidecar["device"], sidecar["cuda"], sidecar["compute_capabilities"]) == ("Orin", "12.6", ["8.7"])
    assert (tmp_path / "timings").read_bytes() == b"timings of this GPU"


def test_an_engine_that_cannot_be_timed_is_still_there(tmp_path: Path) -> None:
    model = precision_nets.save_face(tmp_path / "face.onnx", "fp16")
    done = on_an_orin(tmp_path, str(model), "--out", str(tmp_path), alloc_error=2)
    assert done.returncode == 0, done.stderr
    assert "time per layer not measured: the NVIDIA driver refuses cuMemAlloc_v2 (error 2)" in done.stdout
    assert (tmp_path / "face.engine.json").is_file()
