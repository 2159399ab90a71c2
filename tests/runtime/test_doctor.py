"""The doctor's looks at this machine, at made-up Jetsons and at drivers that are broken in earnest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fake_cuda import fake_environment
from sidecars import ORIN, saved
from vultus.cli import app
from vultus.doctor import Check, examine
from vultus.doctor.machine import gpu_checks, jetson_checks, probe
from vultus.doctor.packages import ORT, USEFUL

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parents[2] / "pyproject.toml"

DRIVER = """
#include <stdlib.h>
#include <string.h>
int cuInit(unsigned flags) { %s }
int cuDriverGetVersion(int *v) { *v = 12060; return 0; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *name, int size, int d) { strncpy(name, d ? "Second" : "Orin", size); return 0; }
int cuDeviceGetAttribute(int *v, int which, int d) { *v = which == 75 ? 8 : 7; return d < 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int d) { *bytes = (size_t)(d + 1) << 33; return 0; }
"""
TENSORRT = "int getInferLibVersion(void) { return %d; }"


def library(folder: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile a library that child processes will find by this name."""
    if shutil.which("cc") is None:
        pytest.skip("no compiler 'cc' on this machine")
    code = folder / f"{name}.c"
    code.write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(folder / name), str(code)], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


# GPU libraries


def test_a_driver_tells_of_its_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library(tmp_path, "libcuda.so.1", DRIVER % "return flags;", monkeypatch)
    assert probe("driver") == {
        "cuda": "12.6",
        "devices": [
            {"name": "Orin", "capability": "8.7", "mebibytes": 8192},
            {"name": "Second", "capability": "8.7", "mebibytes": 16384},
        ],
    }
    checks = by_name(gpu_checks())
    assert checks["driver"].value.startswith("CUDA 12.6")
    assert checks["GPU 1"] == Check("gpu", "GPU 1", "ok", "Second, compute 8.7, 16384 MiB")


@pytest.mark.parametrize(
    ("faults", "integrated", "status", "value", "fix"),
    [
        ("", 1, "ok", "opens Fake CUDA device 0, compute 8.7, memory shared with the host", ""),
        ("", 0, "ok", "opens Fake CUDA device 0, compute 8.7, memory its own", ""),
        (
            "cuMemAlloc@1=2",
            0,
            "problem",
            "cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY (4096 bytes were asked for, 1073741824 of the GPU's "
            "1073741824 were free)",
            "close other programs on the GPU, or take fewer Analyzers or smaller models",
        ),
        (
            "cuMemcpy=1,cuStreamCreate=1",
            0,
            "problem",
            "cuStreamCreate failed: CUDA_ERROR_INVALID_VALUE",
            "pip",
        ),
    ],
)
def test_the_gpu_is_really_opened(
    monkeypatch: pytest.MonkeyPatch, faults: str, integrated: int, status: str, value: str, fix: str
) -> None:
    for name, setting in fake_environment(faults, settings={"INTEGRATED": integrated}).items():
        monkeypatch.setenv(name, setting)
    check = by_name(gpu_checks())["CUDA path"]
    assert check.status == status
    assert check.value.endswith(value)
    assert check.fix.startswith(fix)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return 100 + flags;", "the NVIDIA driver does not start: cuInit gives error 100"),
        ("abort(); return flags;", "looking at the driver crashed (exit status -6)"),
        ("return *(volatile int *)(size_t)flags;", "looking at the driver crashed (exit status -11)"),
    ],
)
def test_a_broken_driver_takes_nothing_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, problem: str
) -> None:
    library(tmp_path, "libcuda.so.1", DRIVER % body, monkeypatch)
    assert probe("driver") == {"problem": problem}
    assert by_name(gpu_checks())["driver"].value == problem


def test_a_driver_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library(
        tmp_path,
        "libcuda.so.1",
        "#include <unistd.h>\nint cuInit(unsigned f) { sleep(60); return f; }",
        monkeypatch,
    )
    assert probe("driver", patience=1) == {"problem": "looking at the driver did not end within 1 s"}


def test_an_interpreter_that_cannot_be_started_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    problem = "/nowhere/python cannot be started to look at the driver: No such file or directory"
    assert probe("driver") == {"problem": problem}


@pytest.mark.parametrize(
    ("major", "number", "version", "status"),
    [
        (10, 100300, "10.3.0", "ok"),
        (10, 101602, "10.16.2", "ok"),
        (11, 110401, "11.4.1", "ok"),
        (8, 8601, "8.6.1", "problem"),
    ],
)
def test_the_tensorrt_library_tells_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, major: int, number: int, version: str, status: str
) -> None:
    library(tmp_path, f"libnvinfer.so.{major}", TENSORRT % number, monkeypatch)
    assert probe("tensorrt")["library"] == version
    check = by_name(gpu_checks())["TensorRT library"]
    assert (check.value, check.status) == (version, status)
    assert ("JetPack 6.1 or newer" in check.fix) == (status == "problem")


def test_bindings_that_do_not_load_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvonnxparser.so.10: cannot open\\nmore')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check = by_name(gpu_checks())["TensorRT"]
    assert check.status == "problem"
    assert check.value == "its Python bindings do not load: libnvonnxparser.so.10: cannot open"


# Jetson


def board(root: Path, release: str, jetpack: str = "") -> Path:
    for name, text in {
        "etc/nv_tegra_release": release,
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "var/lib/dpkg/status": f"Package: zlib\nVersion: 1\n\nPackage: nvidia-jetpack\nStatus: ok\n{jetpack}\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("release", "jetpack", "expected"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081", "Version: 6.2+b77\n", ("36.4.3", "ok", "6.2+b77")),
        ("# R38 (release), REVISION: 2.0, GCID: 1", "Version: 7.0-b1\n", ("38.2.0", "ok", "7.0-b1")),
        ("# R36 (release), REVISION: 3.0, GCID: 1", "", ("36.3.0", "problem", "package not installed")),
        ("# R35 (release), REVISION: 4.1, GCID: 1", "Version: 5.1.2\n", ("35.4.1", "problem", "5.1.2")),
    ],
)
def test_jetsons_are_recognised(
    tmp_path: Path, release: str, jetpack: str, expected: tuple[str, str, str]
) -> None:
    checks = by_name(jetson_checks(board(tmp_path, release, jetpack)))
    assert checks["board"].value == "NVIDIA Jetson Orin Nano Developer Kit"
    assert (checks["L4T"].value, checks["L4T"].status, checks["JetPack"].value) == expected
    assert ("flash JetPack 6.1 or newer" in checks["L4T"].fix) == (expected[1] == "problem")


def test_other_machines_have_no_jetson_section(tmp_path: Path) -> None:
    assert jetson_checks(tmp_path) == []
    (check,) = jetson_checks(board(tmp_path, "garbage\n"))
    assert (check.status, check.value) == ("problem", "garbage")


# Packages


@pytest.mark.parametrize("extra", ["cpu", "gpu", "pycuda", "bench", "video", "bundle"])
def test_what_an_extra_brings_is_listed_with_its_extra(extra: str) -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    for requirement in project["optional-dependencies"][extra]:
        name = re.split("[><=; ]", requirement)[0]
        assert name in ORT or name in USEFUL
        assert name in ("pycuda", *ORT) or f"'vultus[{extra}]'" in USEFUL[name], "what brings it is told"


# The whole report


def test_models_that_open_make_the_machine_usable(tiny_models: list[Path]) -> None:
    report = examine(tiny_models)
    checks = by_name(list(report.checks))
    assert report.usable
    assert checks[tiny_models[0].name].value == "detector, version 1.0.0, fp32"
    assert checks["--device cpu"].value.startswith("ONNX Runtime")
    assert checks["--device cuda"].status in ("ok", "absent", "problem")
    assert checks["numpy"].status == "ok"
    assert "CPU" in checks["providers"].value


def test_broken_models_make_it_unusable_and_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    report = examine([broken])
    check = by_name(list(report.checks))["broken.onnx"]
    assert not report.usable
    assert check.status == "problem"
    assert str(broken) in check.value


def test_every_problem_has_a_fix_and_nothing_else_has(tmp_path: Path, tiny_models: list[Path]) -> None:
    for models in (tiny_models, [tmp_path / "gone.onnx"]):
        for check in examine(models).checks:
            assert bool(check.fix) == (check.status == "problem"), check


def test_the_command_prints_what_was_found() -> None:
    shown = CliRunner().invoke(app, ["doctor", "--json"])
    report: dict[str, Any] = json.loads(shown.stdout)
    assert shown.exit_code == (0 if report["usable"] else 4)
    sections = [check["section"] for check in report["checks"]]
    assert {"system", "packages", "gpu", "models", "runs"} <= set(sections)
    table = CliRunner().invoke(app, ["doctor"])
    assert table.exit_code == shown.exit_code
    for word in ("Python", "onnxruntime", "driver", "TensorRT", "--device auto"):
        assert word in table.stdout
    assert ("can be analysed here" if report["usable"] else "nothing can run here") in table.stderr


# TensorRT engines


def test_an_engine_of_another_device_is_explained_in_one_line(tmp_path: Path) -> None:
    saved(tmp_path, ORIN, name="other.engine")
    (tmp_path / "alone.engine").write_bytes(b"no sidecar")
    shown = CliRunner().invoke(app, ["doctor", "--engines", str(tmp_path)])
    lines = [
        line for line in shown.output.splitlines() if line.startswith(("other.engine ", "alone.engine:"))
    ]
    assert len(lines) == 2
    assert "alone.engine.json" in lines[0]
    assert "built for compute capability 8.7 and TensorRT 10.3.0, this is " in lines[1]


def test_a_folder_without_engines_is_no_problem(tmp_path: Path) -> None:
    checks = examine(models=[], engine_folder=tmp_path).checks
    assert [check.status for check in checks if check.section == "engines"] == ["absent"]
