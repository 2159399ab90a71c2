"""The whole install on aarch64: put into a root file system from here, run by qemu, equal to this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny
from jetson_install import listing, seal_bundle
from jetson_rootfs import install_into, make_rootfs, run_inside, stub_board, wheelhouse
from repository import ROOT
from stub_board import CONFIG
from vultus.types import FACE, FaceArray
from vultus.zoo import default_models

PICTURE = ROOT / "examples/astronaut.png"
# What is promised: the whole install with the default models at most 300 MB.
MOST = 300e6
CLOSE = 1e-5

pytestmark = pytest.mark.slow


Installed = tuple[Path, dict[str, str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The root with vultus and the tiny models in it, and how it was before."""
    folder = tmp_path_factory.mktemp("aarch64")
    root = make_rootfs(folder / "root")
    before = listing(root)
    (folder / "bundle/models").mkdir(parents=True)
    tiny.save_detector(folder / "bundle/models/tiny-det.onnx")
    tiny.save_face_network(folder / "bundle/models/tiny-face.onnx")
    wheels = ["--wheelhouse", str(wheelhouse()), "--models", str(seal_bundle(folder / "bundle"))]
    done = install_into(root, "--platform", "debian-12", "--offline", *wheels)
    assert done.returncode == 0, done.stderr
    return root, before


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


# The records themselves: what `vultus run` prints is rounded.
RECORDS = """
import sys, cv2, vultus
with vultus.Analyzer(device="cpu", threads=1) as analyzer:
    print(analyzer(cv2.imread(sys.argv[1])).faces.tobytes().hex())
"""


def _records(done: subprocess.CompletedProcess[str]) -> FaceArray:
    assert done.returncode == 0, done.stderr
    return np.frombuffer(bytes.fromhex(done.stdout), FACE)


def test_the_demo_picture_gives_the_same_faces(installed: Installed) -> None:
    root, _ = installed
    shutil.copy(PICTURE, root / "tmp/picture.png")
    python = "/opt/vultus/current/venv/bin/python"
    there = _records(run_inside(root, python, "-s", "-c", RECORDS, "/tmp/picture.png"))
    command = [sys.executable, "-c", RECORDS, str(PICTURE)]
    here = _records(subprocess.run(command, capture_output=True, text=True, check=False))
    assert len(here) == len(there) == 1
    for field in FACE.names or ():
        scale = np.maximum(1.0, np.abs(here[field]))
        np.testing.assert_allclose(
            there[field] / scale, here[field] / scale, rtol=0, atol=CLOSE, err_msg=field
        )


def test_the_command_prints_what_it_prints_elsewhere(installed: Installed) -> None:
    root, _ = installed
    shutil.copy(PICTURE, root / "tmp/picture.png")
    options = ["--json", "-", "--quiet", "--device", "cpu"]
    done = run_inside(root, "/usr/local/bin/vultus", "run", "/tmp/picture.png", *options)
    assert done.returncode == 0, done.stderr
    [face] = json.loads(done.stdout)["faces"]
    assert face["gender"]["female"] > 0.5


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


def test_the_libraries_still_load_after_they_were_made_small(installed: Installed) -> None:
    root, _ = installed
    assert size_of(root / "opt/vultus") <= MOST
    done = run_inside(root, "/opt/vultus/current/venv/bin/python", "-s", "-c", PACKAGES)
    assert done.stdout == "(48, 64, 3) True\n", done.stderr


def test_doctor_names_the_machine_and_what_is_missing(installed: Installed) -> None:
    root, _ = installed
    done = run_inside(root, "/usr/local/bin/vultus", "doctor", "--json")
    assert done.returncode == 0, done.stderr
    told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert "aarch64" in told["platform"]["value"]
    assert told["Python"]["value"].endswith("/opt/vultus/current/venv/bin/python")
    used = [*(path.name for path in default_models()), "--device cpu"]
    assert {name: told[name]["status"] for name in used} == dict.fromkeys(used, "ok")
    assert {told[name]["status"] for name in ("driver", "TensorRT", "--device cuda")} == {"absent"}


def test_first_boot_with_a_stub_of_tensorrt(installed: Installed) -> None:
    """The whole first boot on aarch64: builds, self-test, switch; only GPU and TensorRT are the tests' stubs."""
    root, _ = installed
    environment = stub_board(root)
    (root / "etc/vultus/vultus.toml").write_text(CONFIG)
    python = ["/opt/vultus/current/venv/bin/python", "-s"]
    done = run_inside(
        root, *python, "-m", "vultus_firstboot", "--selftest-frames", "1", environment=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first boot: ready: engines: 2 built; slot a is in use" in done.stdout
    state = root / "var/lib/vultus"
    assert (state / "ready").is_file()
    assert os.readlink(state / "engines/current") == "a"
    assert json.loads((state / "firstboot.json").read_text())["state"] == "ready"
    sidecar = json.loads((state / "engines/a/tiny-det.engine.json").read_text())
    assert "10.3.0" in json.dumps(sidecar)


def test_uninstall_leaves_the_root_as_it_was(installed: Installed) -> None:
    root, before = installed
    done = install_into(root, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    of_tests = ("tmp/", "opt/test", "usr/lib/python3.11/dist-packages")
    after = listing(root, of_tests)
    assert after.pop("opt", None) == ("folder 755" if (root / "opt/test").exists() else None)
    assert after == {name: entry for name, entry in before.items() if not name.startswith(of_tests)}
