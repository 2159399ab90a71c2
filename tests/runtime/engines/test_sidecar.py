"""Sidecars: what they hold, what they refuse, and the one line that explains an engine of another device."""

from __future__ import annotations

import ctypes.util
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecars import DATA, made, saved
from vultus.engines.sidecar import (
    Platform,
    Sidecar,
    load_engine,
    mismatch,
    platform_here,
    read_sidecar,
    sidecar_from_json,
    sidecar_path,
    sidecar_to_json,
    tensorrt_version,
)
from vultus.errors import DeviceError, ModelError, SpecError

ORIN = Platform("tensorrt", "10.3.0", "8.7", "Orin", "12.6")
DESKTOP = Platform("tensorrt", "11.4.0.106", "9.0", "H200", "13.0")
RTX = Platform("tensorrt_rtx", "1.7.1.116", "8.9", "RTX 4090", "13.0")
NO_GPU = Platform(
    "tensorrt_rtx", "1.7.1.116", problem="the NVIDIA driver library libcuda.so.1 is not installed"
)


def portable(*targets: str, version: str = "1.7.1.116") -> Sidecar:
    return made(flavour="tensorrt_rtx", version=version, compute_capabilities=targets, device="", cuda="")


def test_json_brings_back_an_equal_sidecar_and_equal_text() -> None:
    sidecar = made(flags=("version-compatible", "dla=0"))
    text = sidecar_to_json(sidecar)
    assert sidecar_from_json(text) == sidecar
    assert sidecar_to_json(sidecar_from_json(text)) == text


@pytest.mark.parametrize(
    ("sidecar", "here"),
    [
        (made(), ORIN),
        (made(compute_capabilities=("8.0+",)), replace(DESKTOP, version="10.3.0")),
        (made(flags=("version-compatible",)), replace(ORIN, version="10.16.2")),
        (portable("8.0", "8.6", "8.9", "12.0", "12.1+"), RTX),
        (portable("8.0", "12.1+"), replace(RTX, compute_capability="13.0")),
    ],
)
def test_an_engine_that_fits_has_no_mismatch(sidecar: Sidecar, here: Platform) -> None:
    assert mismatch(sidecar, here) == ""


RUN = "run vultus-export engine tiny-face.onnx --out DIR"


@pytest.mark.parametrize(
    ("sidecar", "here", "line"),
    [
        (
            made(),
            DESKTOP,
            "built for compute capability 8.7 and TensorRT 10.3.0, "
            f"this is compute capability 9.0 and TensorRT 11.4.0.106: {RUN}",
        ),
        (
            made(),
            replace(ORIN, version="10.16.2"),
            "built for compute capability 8.7 and TensorRT 10.3.0, "
            f"this is compute capability 8.7 and TensorRT 10.16.2: {RUN}",
        ),
        (
            made(flags=("version-compatible",), version="10.16.2"),
            ORIN,
            "built for compute capability 8.7 and TensorRT 10.16.2, "
            f"this is compute capability 8.7 and TensorRT 10.3.0: {RUN}",
        ),
        (
            portable("8.0", "8.6+"),
            replace(RTX, compute_capability="7.5"),
            "built for compute capability 8.0 or 8.6+ and TensorRT-RTX 1.7.1.116, "
            f"this is compute capability 7.5 and TensorRT-RTX 1.7.1.116: {RUN}",
        ),
        (
            portable("8.9"),
            NO_GPU,
            "built for compute capability 8.9 and TensorRT-RTX 1.7.1.116, this is a machine without a usable GPU "
            "(the NVIDIA driver library libcuda.so.1 is not installed) and TensorRT-RTX 1.7.1.116: "
            "run it where the GPU is",
        ),
        (
            portable("8.9"),
            replace(RTX, version=""),
            "built for compute capability 8.9 and TensorRT-RTX 1.7.1.116, this is compute capability 8.9 "
            "without TensorRT-RTX: pip install 'vultus[rtx]'",
        ),
    ],
)
def test_a_mismatch_is_one_line_that_says_what_to_do(sidecar: Sidecar, here: Platform, line: str) -> None:
    assert mismatch(sidecar, here) == line
    assert "\n" not in line


def test_platforms_of_the_other_flavour_are_no_platforms_for_an_engine() -> None:
    with pytest.raises(ValueError, match="a platform of tensorrt is expected, this one is of tensorrt_rtx"):
        mismatch(made(), RTX)


def test_an_engine_that_fits_loads_with_its_sidecar(tmp_path: Path) -> None:
    engine = saved(tmp_path, made())
    assert load_engine(engine, ORIN) == (made(), DATA)


def test_an_engine_of_another_device_is_refused_with_the_one_line(tmp_path: Path) -> None:
    engine = saved(tmp_path, made())
    with pytest.raises(DeviceError) as caught:
        load_engine(engine, DESKTOP)
    assert str(caught.value) == f"tiny-face.engine was {mismatch(made(), DESKTOP)}"


@pytest.mark.parametrize("data", [b"engine byteS", b"engine byte", b""])
def test_a_damaged_engine_is_refused(tmp_path: Path, data: bytes) -> None:
    engine = saved(tmp_path, made(), data)
    with pytest.raises(
        ModelError, match=rf"is damaged: {len(data)} bytes .* the 12 that were built; copy it again"
    ):
        load_engine(engine, ORIN)


def test_a_missing_engine_or_sidecar_is_refused(tmp_path: Path) -> None:
    engine = saved(tmp_path, made())
    engine.unlink()
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        load_engine(engine, ORIN)
    sidecar_path(engine).unlink()
    with pytest.raises(ModelError, match=r"has no readable sidecar tiny-face.engine.json .* build it with"):
        read_sidecar(engine)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "is of schema 2, this vultus reads schema 1"),
        ({"batch": [4, 1, 8]}, r"its batch \(4, 1, 8\) is not least <= best <= most"),
        ({"compute_capabilities": ["sm_87"]}, "not of the form 8.7 or 8.0\\+"),
        ({"compute_capabilities": []}, "not of the form 8.7 or 8.0\\+"),
        ({"engine_sha256": "abc"}, "its hashes are not SHA-256"),
        ({"engine_size": 0}, "its size is below 1"),
        ({"version": "unknown"}, "'unknown' is no version of TensorRT"),
        ({"precision": "int8"}, "it says precision 'int8', its spec 'fp32'"),
        ({"flavour": "openvino"}, "Invalid enum value 'openvino'"),
        ({"proof": "hope"}, "Invalid enum value 'hope'"),
        ({"engine_size": "12"}, "Expected `int`, got `str`"),
        ({"colour": "red"}, "has unknown keys: colour"),
        ({"spec": {"schema": 9}}, "has a spec of schema 9"),
    ],
)
def test_an_unusable_sidecar_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    text = json.dumps({**json.loads(sidecar_to_json(made())), **changes})
    with pytest.raises(SpecError, match=message) as caught:
        sidecar_from_json(text, "x.engine.json")
    assert str(caught.value).startswith("x.engine.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_no_sidecar_at_all_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"is not JSON|is of schema None"):
        sidecar_from_json(text)


def test_a_package_that_is_not_there_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert tensorrt_version("tensorrt") == ""


def test_this_machine_is_described_without_a_crash() -> None:
    here = platform_here("tensorrt_rtx")
    assert bool(here.compute_capability) != bool(here.problem)


DRIVER = """
#include <string.h>
int cuInit(unsigned f) { return 0; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, "Orin", n); return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 : a == 76 ? 7 : -1; return ATTRIBUTE_ERROR; }
int cuDriverGetVersion(int *v) { *v = 12060; return 0; }
"""
ASK = """
from vultus.engines.sidecar import Platform, with_gpu
found = with_gpu(Platform("tensorrt", "10.3.0"))
print(found.device, found.compute_capability, found.cuda, found.problem, sep="|")
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.skipif(ctypes.util.find_library("cuda") is not None, reason="a real driver is here")
@pytest.mark.parametrize(
    ("error", "answer"),
    [(0, "Orin|8.7|12.6|"), (1, "|||the NVIDIA driver does not describe its GPU (errors (0, 0, 1, 1, 0))")],
)
def test_the_gpu_is_asked_through_the_driver_library(tmp_path: Path, error: int, answer: str) -> None:
    source = tmp_path / "driver.c"
    source.write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    subprocess.run(
        ["cc", "-shared", "-fPIC", f"-DATTRIBUTE_ERROR={error}", str(source), "-o", str(library)], check=True
    )
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env={"LD_LIBRARY_PATH": str(tmp_path)}
    )
    assert (done.stdout.strip(), done.stderr) == (answer, "")
