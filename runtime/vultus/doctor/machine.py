"""The machine: interpreter, processor, GPU, driver, CUDA, TensorRT, Jetson."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from vultus.doctor import Check
from vultus.engines.devices import usable_cores

__all__ = ["checks", "gpu_checks", "jetson_checks", "probe"]

OLDEST_PYTHON = (3, 10)
OLDEST_TENSORRT = 10
OLDEST_L4T = (36, 4)  # JetPack 6.1, the first with TensorRT 10
PATIENCE = 30.0
PROBE = Path(__file__).with_name("probe.py")


def checks() -> list[Check]:
    """Return the interpreter and the processor."""
    python = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    old = sys.version_info < OLDEST_PYTHON
    system = (
        f"{platform.system()} {platform.release()}, {platform.machine()}, {usable_cores()} usable CPU cores"
    )
    return [
        Check(
            "system",
            "Python",
            "problem" if old else "ok",
            python,
            "install Python 3.10 or newer" if old else "",
        ),
        Check("system", "platform", "ok", system),
    ]


def probe(what: str, patience: float = PATIENCE) -> dict[str, Any]:
    """Look at the driver, TensorRT or the device; a crash or a hang comes back as a `problem`."""
    command = [sys.executable, *(["-m", "vultus.doctor.device"] if what == "device" else [str(PROBE), what])]
    try:
        done = subprocess.run(command, capture_output=True, timeout=patience)
    except subprocess.TimeoutExpired:
        return {"problem": f"looking at the {what} did not end within {patience:.0f} s"}
    except OSError as error:
        return {"problem": f"{sys.executable} cannot be started to look at the {what}: {error.strerror}"}
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return {"problem": f"looking at the {what} crashed (exit status {done.returncode})"}


def gpu_checks() -> list[Check]:
    """Return what the driver, the CUDA toolkit and TensorRT say."""
    driver = probe("driver")
    opened = [_device_check(probe("device"))] if driver.get("devices") else []
    return [*_driver_checks(driver), *opened, _toolkit_check(), *_tensorrt_checks(probe("tensorrt"))]


def _driver_checks(found: dict[str, Any]) -> list[Check]:
    if problem := found.get("problem"):
        present = Path("/proc/driver/nvidia").exists() or Path("/dev/nvidiactl").exists()
        fix = "mend or install the NVIDIA driver, then reboot" if present else ""
        return [Check("gpu", "driver", "problem" if present else "absent", problem, fix)]
    kernel = Path("/proc/driver/nvidia/version")
    module = re.search(r"(\d+\.[\d.]+)", kernel.read_text() if kernel.exists() else "")
    version = f"CUDA {found['cuda']}" + (f", kernel module {module[1]}" if module else "")
    devices = [
        Check("gpu", f"GPU {i}", "ok", f"{d['name']}, compute {d['capability']}, {d['mebibytes']} MiB")
        for i, d in enumerate(found["devices"])
    ]
    none = Check(
        "gpu", "GPU", "problem", "the driver finds no GPU", "check CUDA_VISIBLE_DEVICES and nvidia-smi"
    )
    return [Check("gpu", "driver", "ok", version), *(devices or [none])]


def _device_check(found: dict[str, Any]) -> Check:
    if problem := found.get("problem"):
        said, _, fix = problem.partition("; ")
        return Check("gpu", "CUDA path", "problem", said, fix or "pip install 'vultus[gpu]', then ask again")
    value = (
        f"{found['package']} opens {found['name']}, compute {found['capability']}, memory {found['memory']}"
    )
    return Check("gpu", "CUDA path", "ok", value)


def _toolkit_check() -> Check:
    home = Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda")
    try:
        version = json.loads((home / "version.json").read_text())["cuda"]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return Check("gpu", "CUDA toolkit", "absent", f"none in {home} (not needed to run models)")
    return Check("gpu", "CUDA toolkit", "ok", f"{version} in {home}")


def _tensorrt_checks(found: dict[str, Any]) -> list[Check]:
    rows = []
    for key, name in (
        ("library", "TensorRT library"),
        ("tensorrt", "TensorRT"),
        ("tensorrt_rtx", "TensorRT-RTX"),
    ):
        problem = found.get(f"{key} problem")
        if problem:
            fix = "install the TensorRT libraries of the same version, on Jetson with apt"
            rows.append(Check("gpu", name, "problem", f"its Python bindings do not load: {problem}", fix))
        elif key in found:
            rows.append(
                _tensorrt_version(name, str(found[key]), oldest=OLDEST_TENSORRT * (key != "tensorrt_rtx"))
            )
    if problem := found.get("problem"):
        rows.append(Check("gpu", "TensorRT", "problem", problem, "install TensorRT again"))
    return rows or [Check("gpu", "TensorRT", "absent", "no library and no Python bindings")]


def _tensorrt_version(name: str, version: str, oldest: int) -> Check:
    if int(version.split(".")[0]) >= oldest:
        return Check("gpu", name, "ok", version)
    fix = f"vultus needs TensorRT {oldest} or newer; on Jetson that is JetPack 6.1 or newer"
    return Check("gpu", name, "problem", version, fix)


def jetson_checks(root: Path = Path("/")) -> list[Check]:
    """Return board, L4T and JetPack of a Jetson; nothing on other machines."""
    release = _text(root / "etc/nv_tegra_release")
    found = re.search(r"R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", release)
    if not found:
        return (
            []
            if not release
            else [Check("jetson", "L4T", "problem", release.strip(), "flash the board again")]
        )
    l4t = f"{found[1]}.{found[2]}"
    board = _text(root / "proc/device-tree/model").strip("\0 \n") or "unknown board"
    jetpack = re.search(
        r"^Package: nvidia-jetpack\n(?:.+\n)*?Version: (\S+)", _text(root / "var/lib/dpkg/status"), re.M
    )
    old = tuple(int(part) for part in l4t.split(".")[:2]) < OLDEST_L4T
    fix = "flash JetPack 6.1 or newer: older ones carry TensorRT 8, which vultus does not use" if old else ""
    return [
        Check("jetson", "board", "ok", board),
        Check("jetson", "L4T", "problem" if old else "ok", l4t, fix),
        Check(
            "jetson",
            "JetPack",
            "ok" if jetpack else "absent",
            jetpack[1] if jetpack else "package not installed",
        ),
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
