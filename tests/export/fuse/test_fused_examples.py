"""The examples as a user builds and runs them: they print what the fused file finds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import tiny
from vultus_export.files import load_model, save_model
from vultus_export.fuse.assemble import fused_model
from vultus_export.fuse.prove import run_fused

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "fused"
HEADER = "onnxruntime_cxx_api.h"


@pytest.fixture(scope="module")
def model(tiny_models: list[Path]) -> onnx.ModelProto:
    detector, face = (load_model(path) for path in tiny_models)
    return fused_model(detector, face)


@pytest.fixture(scope="module")
def folder(model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a fused file and pictures of two faces and of none."""
    made = tmp_path_factory.mktemp("example")
    save_model(model, made / "faces.onnx")
    noise = np.random.default_rng(2).integers(0, 90, (128, 160, 3)).astype(np.uint8)
    write_ppm(made / "none.ppm", noise)
    for x, y in ((16, 32), (96, 64)):
        noise[y : y + tiny.CELL, x : x + tiny.CELL] = 255
    write_ppm(made / "two.ppm", noise)
    return made


def write_ppm(path: Path, bgr: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    height, width = bgr.shape[:2]
    path.write_bytes(f"P6\n{width} {height}\n255\n".encode() + bgr[..., ::-1].tobytes())


def expected(model: onnx.ModelProto, path: Path) -> list[str]:
    """Return the lines that the examples owe for a picture."""
    header = path.read_bytes().split(b"\n", 3)
    width, height = map(int, header[1].split())
    picture = np.frombuffer(header[3], np.uint8).reshape(height, width, 3)[..., ::-1]
    return [
        "{:.1f} {:.1f} {:.1f} {:.1f}".format(*face["box"])
        + f" score {face['score']:.3f} age {face['age']:.1f} female {face['gender'][0]:.3f}"
        for face in run_fused(model)(np.ascontiguousarray(picture))
    ]


def check(command: list[str], model: onnx.ModelProto, folder: Path) -> None:
    """Run an example on both pictures and compare its lines; then on what it must refuse."""
    for name, faces in (("two.ppm", 2), ("none.ppm", 0)):
        done = subprocess.run(
            [*command, "faces.onnx", name], cwd=folder, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == expected(model, folder / name)
        assert len(done.stdout.splitlines()) == faces
    for words, message in (
        (["faces.onnx", "faces.onnx"], "faces.onnx is no binary PPM picture of 8 bits"),
        (["faces.onnx"], "usage: faces"),
    ):
        done = subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode in (1, 2)
        assert message in done.stderr


def test_python(model: onnx.ModelProto, folder: Path) -> None:
    check([sys.executable, str(EXAMPLES / "faces.py")], model, folder)


def test_python_needs_nothing_but_onnxruntime_and_numpy() -> None:
    lines = (EXAMPLES / "faces.py").read_text().splitlines()
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported == {"re", "sys", "pathlib", "numpy", "onnxruntime"}


@pytest.fixture(scope="module")
def headers(request: pytest.FixtureRequest) -> Path:
    """Return the folder of ONNX Runtime's C++ headers: the system's, or Debian's package fetched once."""
    fetched = request.config.cache.mkdir("onnxruntime-headers")
    places = [Path(os.environ.get("VULTUS_ORT_INCLUDE", "/usr/include/onnxruntime")), Path("/usr/include")]
    places.append(fetched / "usr" / "include" / "onnxruntime")
    if not any((place / HEADER).is_file() for place in places):
        if not shutil.which("apt-get"):
            pytest.skip(f"no {HEADER} on this machine and no apt-get to fetch it; set VULTUS_ORT_INCLUDE")
        command = ["sh", str(EXAMPLES / "headers.sh"), str(fetched)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(f"the headers cannot be fetched: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return next(place for place in places if (place / HEADER).is_file())


@pytest.fixture(scope="module")
def library(folder: Path) -> Path:
    """Return the shared library of the installed ONNX Runtime under the name that programs link to."""
    found = sorted(Path(ort.__file__).parent.glob("capi/libonnxruntime.so.*"))
    if not found:
        pytest.skip(f"onnxruntime {ort.__version__} brings no shared library for C programs")
    link = folder / "libonnxruntime.so.1"
    link.symlink_to(found[0])
    return link


@pytest.mark.slow
def test_cpp(model: onnx.ModelProto, folder: Path, headers: Path, library: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("c++")
    if not compiler:
        pytest.skip("no C++ compiler on this machine")
    flags = [
        "-std=c++17",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-isystem",
        str(headers),
        "-Wl,-rpath,$ORIGIN",
    ]
    command = [compiler, *flags, str(EXAMPLES / "faces.cpp"), str(library), "-o", str(folder / "faces")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check([str(folder / "faces")], model, folder)
