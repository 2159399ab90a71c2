"""scripts/gpu-check on a Python that lacks something: all of it is named at once, and what brings it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gpu.needs
from gpu.needs import lacks
from repository import ROOT

ALWAYS = ("numpy", "opencv-python-headless", "msgspec", "rich", "cuda-bindings")


def bare(*arguments: str) -> tuple[int, str]:
    """Run the check with the standard library alone."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")}
    command = [sys.executable, "-S", "-m", "gpu", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("parts", "for_b"),
    [
        ((), True),
        (("--parts", "a,d"), False),
        (("--quick", "--parts=a,pipeline"), True),
        (("--parts", "b"), True),
    ],
)
def test_a_bare_python_is_told_all_that_it_lacks(parts: tuple[str, ...], for_b: bool) -> None:
    code, said = bare(*parts)
    assert code == 4
    assert said.startswith(
        f"gpu-check: {sys.executable} (Python 3.{sys.version_info.minor}) lacks what this needs:"
    )
    for package in ALWAYS:
        assert f"\n  {package} is not installed\n" in said
        assert f"'{package}>=" in said
    assert ("\n  onnxruntime is not installed (for part b alone: --parts leaves it out)\n" in said) == for_b
    assert "pip download --only-binary=:all: --no-deps" in said
    assert "Traceback" not in said


def test_a_package_that_does_not_load_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "msgspec.py").write_text("raise ImportError('built for another Python')")
    code = "import sys; from gpu.needs import lacks; sys.stdout.write(lacks(['--parts', 'a']))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT / "benchmarks")))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "\n  msgspec does not load: built for another Python\n" in done.stdout, done.stderr
    assert "numpy" not in done.stdout


def test_nothing_is_said_where_nothing_is_missing() -> None:
    if importlib.util.find_spec("cuda") is None:
        pytest.skip("cuda-bindings is not installed")
    assert lacks([]) == ""


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.needs, "OLDEST", (4, 0))
    assert lacks([]).endswith("it takes 4.0 or newer: name one by PYTHON=...")
