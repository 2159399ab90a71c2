"""The wheel: it builds, holds what the runtime needs, and works from an empty folder."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from repository import ROOT, need_registry, run_python

pytestmark = pytest.mark.slow

NEEDED = (
    "vultus/py.typed",
    "vultus/include/vultus_face.h",
    "vultus/cuda/code/kernels.fatbin.gz",
    "vultus/cuda/code/kernels.json",
    "vultus/cuda/code/kernels/common.cuh",
    "vultus/cuda/code/kernels/letterbox.cu",
    "vultus/selftest/face.png",
    "vultus/selftest/golden.json",
    "vultus/selftest/golden.npz",
    "vultus/zoo/default.json",
    "vultus_models/train.py",
    "vultus_export/cli.py",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        str(ROOT),
        "--no-deps",
        "--quiet",
        "--wheel-dir",
        str(out),
    ]
    if importlib.util.find_spec("hatchling"):
        command.append("--no-build-isolation")
    else:
        need_registry()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(out.glob("vultus-*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_holds_what_the_runtime_needs(names: set[str]) -> None:
    assert [name for name in NEEDED if name not in names] == []


def test_every_model_has_its_card_and_the_default_ones_are_there(names: set[str], unpacked: Path) -> None:
    models = {name for name in names if name.startswith("vultus/zoo/") and name.endswith(".onnx")}
    assert {name[:-5] + ".md" for name in models} <= names
    assert files_of("default_models", unpacked)
    assert files_of("installed_models", unpacked) == sorted(str(unpacked / name) for name in models)


def files_of(function: str, site: Path) -> list[str]:
    """Return the existing files that a function of vultus.zoo names when vultus comes from `site`."""
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        f"from vultus import zoo\n"
        f"assert zoo.__file__.startswith({str(site)!r}), zoo.__file__\n"
        f"paths = zoo.{function}()\n"
        "assert all(path.is_file() for path in paths), paths\n"
        "print(*paths, sep='\\n')"
    )
    return run_python(code).splitlines()


def test_it_holds_the_packages_and_nothing_else(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "vultus",
        "vultus_models",
        "vultus_export",
    }
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pt", ".pyc"))]


def test_its_metadata_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
        scripts = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
    assert (metadata["Name"], metadata["Requires-Python"]) == ("vultus", ">=3.10")
    assert metadata["License-Expression"] == "Apache-2.0"
    plain = {need.split(">")[0] for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need}
    plain = {need.split(";")[0].strip() for need in plain}
    assert plain - {"tomli"} == {"msgspec", "numpy", "opencv-python-headless", "rich", "typer"}
    assert {"cpu", "gpu", "video", "export", "test", "dev"} <= set(metadata.get_all("Provides-Extra", []))
    assert "vultus = vultus.cli:main" in scripts
    assert "vultus-export = vultus_export.cli:main" in scripts
