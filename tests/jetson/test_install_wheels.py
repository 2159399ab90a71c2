"""The pinned wheels: which they are, that the registry still has them, and that made small they do the same."""

from __future__ import annotations

import csv
import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from repository import ROOT, registry_fault

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

JETSON = ROOT / "jetson"
SLIM = runpy.run_path(str(JETSON / "lib/slim.py"), run_name="slim")
compact: Callable[[bytes], bytes] = SLIM["compact"]
slim: Callable[[Path], int] = SLIM["slim"]
with (JETSON / "platforms.tsv").open(encoding="utf-8") as table:
    ROWS = list(csv.DictReader(table, delimiter="\t"))
LOCKS = sorted({(row["requirements"], row["python"]) for row in ROWS})
LINE = re.compile(r"([a-z0-9-]+)==(\S+) --hash=sha256:([0-9a-f]{64})")


def pins(name: str) -> dict[str, str]:
    text = (JETSON / "requirements" / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), "every line is one package, one version, one hash"
    return {match[1]: match[2] for match in found if match}


def test_the_table_names_both_generations() -> None:
    assert [(row["platform"], row["requirements"]) for row in ROWS if row["platform"][-1] in "2"] == [
        ("jetpack-6.2", "cp310.txt"),
        ("jetpack-7.2", "cp312.txt"),
    ]
    assert all(row["requirements"] == f"cp{row['python'].replace('.', '')}.txt" for row in ROWS)


@pytest.mark.parametrize("name", [name for name, _ in LOCKS])
def test_every_dependency_of_the_runtime_is_pinned(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *extras["cpu"],
        *extras["bundle"],
        *extras["video"],
        "cuda-bindings",
        "pip",
    ]
    for wish in wanted:
        package, _, marker = wish.partition(";")
        if "python_version" in marker and name != "cp310.txt":
            continue
        assert re.split(r"[<>=!~\s]", package)[0] in pins(name)


def test_python_3_10_has_the_last_versions_that_it_can() -> None:
    found = pins("cp310.txt")
    assert (found["onnxruntime"], found["numpy"]) == ("1.23.2", "2.2.6")
    assert found["cuda-bindings"].startswith("12.")
    assert "tomli" in found


@pytest.mark.parametrize("name", [name for name, _ in LOCKS])
def test_what_no_board_runs_is_left_out(name: str) -> None:
    assert not {"sympy", "mpmath", "protobuf", "pydantic", "tensorrt", "torch"} & pins(name).keys()


def test_onnxruntime_runs_without_what_was_left_out() -> None:
    script = (JETSON / "lock.sh").read_text(encoding="utf-8")
    names = re.search(r"LEFT_OUT=\((.*)\)", script)
    assert names
    block = "".join(f"sys.modules[{name!r}] = None\n" for name in [*names[1].split(), "google.protobuf"])
    code = f"import sys\n{block}import onnxruntime\nprint(len(onnxruntime.get_all_providers()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert int(done.stdout) > 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "python"), LOCKS)
def test_the_registry_has_each_wheel_for_aarch64(name: str, python: str, tmp_path: Path) -> None:
    if fault := registry_fault():
        pytest.skip(f"the registry cannot be asked: {fault}")
    script = (
        f'source {JETSON}/lib/wheels.sh; PYTHON={python}; target_options; printf "%s\\n" "${{TARGET[@]}}"'
    )
    options = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--ignore-installed",
        "--no-deps",
        "--ignore-requires-python",  # pip before 24 asks this of its own Python, not of the one that is named
    ]
    where = ["--target", str(tmp_path / "target"), "--report", str(tmp_path / "report.json")]
    file = ["--require-hashes", "-r", str(JETSON / "requirements" / name)]
    done = subprocess.run([*command, *where, *options, *file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    found = {item["metadata"]["name"]: item["metadata"]["version"] for item in report["install"]}
    assert {re.sub(r"[._]", "-", package.lower()): version for package, version in found.items()} == pins(
        name
    )


def _copy(package: str, folder: Path) -> Path:
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip(f"{package} is not installed")
    site = Path(next(iter(spec.submodule_search_locations))).parent
    for name in (package, f"{package}.libs"):
        if (site / name).is_dir():
            shutil.copytree(site / name, folder / name)
    return folder


PROGRAMS = {
    "cuda": "import cuda.bindings.driver as driver; print(driver.CUresult.CUDA_SUCCESS == 0)",
    "msgspec": "print(msgspec.json.decode(b'[1]') == [1])",
    "numpy": "import numpy.linalg, numpy.random, numpy.fft; print(bool(numpy.linalg.inv(numpy.eye(2))[0, 0] == 1))",
    "zstandard": "print(zstandard.decompress(zstandard.compress(b'x' * 99)) == b'x' * 99)",
    "av": "print(av.VideoFrame(64, 48, 'yuv420p').reformat(format='bgr24').to_ndarray().shape == (48, 64, 3))",
}


@pytest.mark.parametrize("package", PROGRAMS)
def test_a_package_made_small_does_the_same(package: str, tmp_path: Path) -> None:
    folder = _copy(package, tmp_path)
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import {package}; "
    code += f"assert {package}.__path__[0].startswith({str(folder)!r}); {PROGRAMS[package]}"
    assert slim(folder) > 0
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_a_library_is_made_small_once() -> None:
    spec = find_spec("zstandard.backend_c")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).read_bytes()
    small = compact(data)
    assert len(small) < len(data)
    assert compact(small) == small


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", b"text", b"\x7fELF\x01\x01" + bytes(200)],
    ids=["empty", "short", "text", "32 bits"],
)
def test_other_files_are_left_alone(data: bytes) -> None:
    assert compact(data) is data
