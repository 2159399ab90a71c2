"""What a user reads when the driver refuses: real messages of the shipped layer over injected faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fake_cuda import fake_environment, run_with_fake
from vultus.cuda.driver import open_driver
from vultus.cuda.driver.faults import FORKED, closed_files, device_error, require_driver
from vultus.errors import DeviceError

SUPPORT = Path(__file__).parents[2] / "support"
START = "no CUDA device can be used: "


HIDDEN = """
import sys
from vultus.cuda.driver import open_driver
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "cuda":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
open_driver()
"""


def said(case: str, faults: str = "", **settings: object) -> list[str]:
    """Run a case of fault_cases.py and return its lines."""
    code = f"import sys; sys.path.insert(0, {str(SUPPORT)!r}); import fault_cases as f; f._say(f.CASES[{case!r}])"
    done = run_with_fake(code, faults, settings=settings)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("faults", "settings", "message"),
    [
        ("", {}, "works"),
        ("", {"DEVICES": 0}, START + "the NVIDIA driver finds no GPU"),
        ("cuInit=999", {}, START + "the NVIDIA driver does not start (cuInit gives error 999)"),
        (
            "cuInit@2=803",  # the first call only asks whether there is a driver
            {},
            "cuInit failed: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH; libcuda.so.1 and the kernel module are of different "
            "versions: reboot",
        ),
        (
            "",
            {"DRIVER": 11040},
            "the NVIDIA driver speaks CUDA 11.4; vultus needs CUDA 12.0 or newer: update the driver to 525 or newer, "
            "on Jetson install JetPack 6.1 or newer",
        ),
        ("", {"DRIVER": 12000}, "works"),
        ("", {"DRIVER": 13020, "INTEGRATED": 1, "CAPABILITY": 110, "GUARD": 1}, "works"),
        (
            "cuDevicePrimaryCtxRetain=46",
            {},
            "cuDevicePrimaryCtxRetain failed: CUDA_ERROR_DEVICE_UNAVAILABLE; another program holds the GPU for "
            "itself: end it, or change its compute mode",
        ),
        (
            "",
            {"MEMORY": 5},
            "cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY (10 bytes were asked for, 5 of the GPU's 5 were free); close "
            "other programs on the GPU, or take fewer Analyzers or smaller models",
        ),
    ],
)
def test_opening_says_what_is_wrong(faults: str, settings: dict[str, object], message: str) -> None:
    assert said("opening", faults, **settings) == [message]


def test_a_forked_child_is_told_what_to_do_and_frees_nothing() -> None:
    use = [f"{doing} is impossible: {FORKED}" for doing in ("cuStreamSynchronize", "cuMemAlloc")]
    assert said("forked_use") == [*use, "works"]
    assert said("forked_open") == [f"no GPU can be opened here: {FORKED}", "works", "works"]


def refused(code: str, environment: dict[str, str]) -> str:
    """Run code that ends in an error; return its last line without the error's module."""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    return done.stderr.splitlines()[-1].removeprefix("vultus.errors.")


def test_a_machine_without_a_driver_says_so(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_text("no library, and the loader looks no further")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    message = refused("from vultus.cuda.driver import open_driver; open_driver()", environment)
    assert message.startswith(f"DeviceError: {START}the NVIDIA driver library libcuda.so.1 is not installed")


def test_there_is_no_such_device_or_package() -> None:
    code = "from vultus.cuda.driver import open_driver\n"
    done = run_with_fake(code + "open_driver(3)", check=False)
    assert done.stderr.endswith("DeviceError: there is no GPU 3; the driver finds 1, counted from 0\n")
    with pytest.raises(
        DeviceError, match="no driver package 'cupy' is known; expected one of cuda-bindings, pycuda"
    ):
        open_driver(package="cupy")


def test_packages_that_are_absent_or_broken_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda/__init__.py").touch()
    (tmp_path / "pycuda/driver.py").write_text("raise ImportError('libcurand.so.10: cannot open')")
    environment = fake_environment()
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    assert refused(HIDDEN, environment) == (
        "DeviceError: a GPU is there, but no package speaks to it: cuda-bindings is not installed and pycuda does not "
        "load (libcurand.so.10: cannot open); pip install 'vultus[gpu]'"
    )


# The table of remedies


def test_closed_device_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvidiactl", "nvidia0", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert closed_files(tmp_path) == ""
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name not in ("nvidiactl", "nvidia0", "null")
    )
    told = closed_files(tmp_path)
    assert told.startswith(
        f"this user may not open {tmp_path}/nvidia0, {tmp_path}/nvidiactl: add the user to the"
    )
    assert "usermod -aG video" in told
    assert "--gpus all" in told


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CUDA_ERROR_FILE_NOT_FOUND", "cuThing failed: CUDA_ERROR_FILE_NOT_FOUND (x)"),
        (
            "CUDA_ERROR_ECC_UNCORRECTABLE",
            "cuThing failed: CUDA_ERROR_ECC_UNCORRECTABLE (x); the GPU's context is lost",
        ),
        (
            "CUDA_ERROR_STUB_LIBRARY",
            "cuThing failed: CUDA_ERROR_STUB_LIBRARY (x); a toolkit's stub libcuda.so.1",
        ),
    ],
)
def test_errors_carry_their_remedy(name: str, message: str) -> None:
    assert str(device_error(name, "cuThing", "x")).startswith(message)


@pytest.mark.parametrize(("version", "text"), [(12000, "12.0"), (12060, "12.6"), (13020, "13.2")])
def test_versions_read_as_people_write_them(version: int, text: str) -> None:
    assert require_driver(version) == text
