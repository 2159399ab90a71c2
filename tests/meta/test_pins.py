"""What Python 3.10 gets: the last numpy and ONNX Runtime made for it, on desktops and on Jetson."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from repository import ROOT, need_registry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.slow

LAST_FOR_310 = {"numpy": "2.2.6", "onnxruntime": "1.23.2"}
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")


def requirements() -> list[str]:
    """Return the dependencies of the runtime with the extra `cpu`, as pyproject.toml declares them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["cpu"]]


def resolved(platform: str, folder: Path) -> dict[str, str]:
    """Return the versions that pip would install for Python 3.10 on a platform."""
    older = [part for tag in ("2_17", "2_27") for part in ("--platform", platform.replace("2_28", tag))]
    report = folder / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    command += ["--only-binary=:all:", "--python-version", "3.10", "--implementation", "cp", "--abi", "cp310"]
    command += ["--abi", "abi3", "--abi", "none", "--platform", platform, *older]
    command += ["--target", str(folder / "site"), "--report", str(report), *requirements()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    entries = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {entry["metadata"]["name"].lower(): entry["metadata"]["version"] for entry in entries}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_python_310_resolves_to_its_last_versions(platform: str, tmp_path: Path) -> None:
    need_registry()
    versions = resolved(platform, tmp_path)
    assert {name: versions[name] for name in LAST_FOR_310} == LAST_FOR_310
    assert {"msgspec", "opencv-python-headless", "rich", "typer"} <= set(versions)
    assert "torch" not in versions
