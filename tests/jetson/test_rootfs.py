"""The whole install on aarch64: put into a root file system from here, run by qemu, equal to this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jetson_install import listing
from jetson_rootfs import install_into, make_rootfs, run_inside, wheelhouse
from repository import ROOT

PICTURE = ROOT / "examples/astronaut.png"
# What is promised: the whole install with the default models at most 300 MB.
MOST = 300e6
CLOSE = 1e-5

pytestmark = pytest.mark.slow


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _faces(said: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(said)["faces"]
    return found


def _pairs(here: Any, there: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    assert type(here) is type(there), where
    if isinstance(here, dict):
        assert here.keys() == there.keys(), where
        for key in here:
            yield from _pairs(here[key], there[key], f"{where}/{key}")
    elif isinstance(here, list):
        assert len(here) == len(there), where
        for index, (one, other) in enumerate(zip(here, there, strict=True)):
            yield from _pairs(one, other, f"{where}/{index}")
    else:
        yield where, here, there


def the_demo_picture_gives_the_same_faces(root: Path) -> None:
    options = ["--json", "-", "--quiet", "--threads", "1", "--device", "cpu"]
    there = run_inside(root, "/usr/local/bin/vultus", "run", "/tmp/picture.png", *options)
    assert there.returncode == 0, there.stderr
    command = [sys.executable, "-m", "vultus", "run", str(PICTURE), *options]
    here = subprocess.run(command, capture_output=True, text=True, check=True)
    faces = _faces(here.stdout)
    assert faces, "the picture has a face"
    values = list(_pairs(faces, _faces(there.stdout)))
    numbers = [(where, x, y) for where, x, y in values if isinstance(x, float)]
    assert len(numbers) > 20
    assert [value for value in values if not isinstance(value[1], float) and value[1] != value[2]] == []
    far = [(where, x, y) for where, x, y in numbers if abs(x - y) > CLOSE * max(1.0, abs(x))]
    assert far == []


# One word of each compiled package, which the demo picture does not run.
PACKAGES = """
import av, cuda.bindings.driver, zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Key
key = Key.generate()
key.public_key().verify(key.sign(b"x"), b"x")
assert zstandard.decompress(zstandard.compress(bytes(1000))) == bytes(1000)
frame = av.VideoFrame(64, 48, "yuv420p").reformat(format="bgr24")
print(frame.to_ndarray().shape, "hevc" in av.codecs_available)
"""


def the_libraries_still_load(root: Path) -> None:
    done = run_inside(root, "/opt/vultus/current/venv/bin/python", "-s", "-c", PACKAGES)
    assert done.stdout == "(48, 64, 3) True\n", done.stderr


def doctor_names_the_machine_and_what_is_missing(root: Path) -> None:
    done = run_inside(root, "/usr/local/bin/vultus", "doctor", "--json")
    assert done.returncode == 0, done.stderr
    told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert "aarch64" in told["platform"]["value"]
    assert told["Python"]["value"].endswith("/opt/vultus/current/venv/bin/python")
    assert {
        name: told[name]["status"] for name in ("vultus-det-s.onnx", "vultus-face-s.onnx", "--device cpu")
    } == {
        "vultus-det-s.onnx": "ok",
        "vultus-face-s.onnx": "ok",
        "--device cpu": "ok",
    }
    assert {told[name]["status"] for name in ("driver", "TensorRT", "--device cuda")} == {"absent"}


def test_the_whole_install_on_aarch64(tmp_path: Path) -> None:
    """One test, so that workers do not make the root file system more than once."""
    root = make_rootfs(tmp_path / "root")
    before = listing(root)
    done = install_into(root, "--platform", "debian-12", "--offline", "--wheelhouse", str(wheelhouse()))
    assert done.returncode == 0, done.stderr
    assert size_of(root / "opt/vultus") <= MOST
    shutil.copy(PICTURE, root / "tmp/picture.png")
    the_demo_picture_gives_the_same_faces(root)
    the_libraries_still_load(root)
    doctor_names_the_machine_and_what_is_missing(root)
    done = install_into(root, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert listing(root, ("tmp/",)) == before
