"""What a measurement must say of the machine that it ran on, and nothing that names its owner."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from vultus.telemetry.board import Board, debian_version, read_board
from vultus.telemetry.clocks import Clock, read_clocks
from vultus.telemetry.files import text
from vultus.telemetry.gpu import Gpu, read_gpus
from vultus.telemetry.load import memory
from vultus.telemetry.nvml import Nvml

__all__ = ["Fingerprint", "fingerprint"]

ARM_PARTS = {
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd42": "Cortex-A78AE",
    "0xd83": "Neoverse-V3AE",
}
# One name for the packages of which only one can be installed.
PACKAGES: dict[str, tuple[str, ...]] = {
    "cuda-bindings": ("cuda-bindings",),
    "numpy": ("numpy",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "opencv": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt-rtx-cu13-bindings",),
    "vultus": ("vultus",),
}


@dataclass(frozen=True)
class Fingerprint:
    """A machine as far as it bears on speed; None for what it does not tell. No host, no user, no paths, no serial.

    cores: processors that are online (`0-11`); pinned: those that this process may run on; quota: how many cores'
    time its control group may use. memory: bytes. driver, cuda: of the GPU's driver; toolkit: the installed CUDA.
    clocks: limits and governors; their momentary values are dropped. versions: of packages and libraries by name,
    None for those that are absent.
    """

    cpu: str | None
    architecture: str
    cores: str | None
    pinned: str | None
    quota: float | None
    memory: int | None
    kernel: str | None
    system: str | None
    gpus: tuple[str, ...]
    compute_capability: str | None
    driver: str | None
    cuda: str | None
    toolkit: str | None
    board: Board
    clocks: tuple[Clock, ...]
    versions: tuple[tuple[str, str | None], ...]

    @property
    def governors(self) -> tuple[str, ...]:
        """The governors in use, each once."""
        return tuple(sorted({clock.governor for clock in self.clocks if clock.governor}))


def fingerprint(root: Path = Path("/"), nvml: Nvml | None = None) -> Fingerprint:
    """Return what the machine below a root tells; versions of Python packages are those of this interpreter."""
    gpus = read_gpus(root, nvml)
    module = _line(root / "proc/driver/nvidia/version", r"NVRM version:.*?(\d+\.[\d.]+)")
    return Fingerprint(
        cpu=_cpu(text(root / "proc/cpuinfo") or ""),
        architecture=text(root / "proc/sys/kernel/arch") or platform.machine(),
        cores=text(root / "sys/devices/system/cpu/online"),
        pinned=_line(root / "proc/self/status", r"Cpus_allowed_list:\s*(\S+)"),
        quota=_quota(root),
        memory=memory(root).get("MemTotal"),
        kernel=text(root / "proc/sys/kernel/osrelease"),
        system=_line(root / "etc/os-release", r'PRETTY_NAME="?([^"\n]*)'),
        gpus=tuple(gpu.name for gpu in gpus),
        compute_capability=_capability(gpus),
        driver=(nvml.driver if nvml else None) or module,
        cuda=nvml.cuda if nvml else None,
        toolkit=_toolkit(root),
        board=read_board(root),
        clocks=tuple(_limits(clock) for clock in read_clocks(root)),
        versions=(
            *_packages(),
            ("libnvinfer", debian_version(root, r"libnvinfer\d+")),
            ("python", platform.python_version()),
        ),
    )


def _line(path: Path, pattern: str) -> str | None:
    found = re.search(rf"^{pattern}", text(path) or "", re.MULTILINE)
    return found[1] if found else None


def _cpu(info: str) -> str | None:
    """Return the processor's name, on ARM by its part number."""
    if found := re.search(r"^model name\s*:\s*(.+?)\s*$", info, re.MULTILINE):
        return found[1]
    parts = sorted(set(re.findall(r"^CPU part\s*:\s*(\S+)", info, re.MULTILINE)))
    return " + ".join(ARM_PARTS.get(part, f"ARM part {part}") for part in parts) or None


def _quota(root: Path) -> float | None:
    """Return the limit of this process's control group in cores, None when there is none or it is version 1."""
    limit = (text(root / "sys/fs/cgroup/cpu.max") or "").split()
    return (
        int(limit[0]) / int(limit[1]) if len(limit) == 2 and all(part.isdigit() for part in limit) else None
    )


def _capability(gpus: list[Gpu]) -> str | None:
    return next((gpu.capability for gpu in gpus if gpu.capability), None)


def _toolkit(root: Path) -> str | None:
    try:
        return str(json.loads(text(root / "usr/local/cuda/version.json") or "")["cuda"]["version"])
    except (ValueError, KeyError, TypeError):
        return None


def _limits(clock: Clock) -> Clock:
    return Clock(
        clock.kind, clock.name, None, clock.lowest, clock.highest, clock.limit, clock.governor, clock.cores
    )


def _packages() -> list[tuple[str, str | None]]:
    return [
        (name, next(filter(None, map(_version, names)), None)) for name, names in sorted(PACKAGES.items())
    ]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
