"""The GPU: by NVML where it answers, and from sysfs as on Jetson where it does not."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from vultus.telemetry.board import read_board
from vultus.telemetry.clocks import gpu_folders
from vultus.telemetry.files import scaled
from vultus.telemetry.nvml import GRAPHICS, SENSOR_GPU, Nvml
from vultus.telemetry.thermal import read_zones

__all__ = ["Gpu", "load_file", "read_gpus"]

LOADS = (
    "sys/devices/platform/gpu.0/load",
    "sys/devices/platform/bus@0/17000000.gpu/load",
    "sys/devices/platform/17000000.gpu/load",
    "sys/devices/platform/17000000.ga10b/load",
)
CAPABILITIES = {"tegra234": "8.7", "tegra264": "11.0"}


@dataclass(frozen=True)
class Gpu:
    """One GPU now; None for what is not readable.

    source: `nvml`, `sysfs` or `nvml+sysfs`. load: share of time with work, 0 to 1. hertz: graphics clock.
    memory_used, memory_total: bytes; None on a Jetson, which shares the host's. throttled: what holds the clocks
    down now.
    """

    name: str
    source: str
    load: float | None = None
    hertz: float | None = None
    highest: float | None = None
    celsius: float | None = None
    watts: float | None = None
    watts_limit: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    capability: str | None = None
    throttled: tuple[str, ...] = ()


def read_gpus(root: Path = Path("/"), nvml: Nvml | None = None) -> list[Gpu]:
    """Return the GPUs that NVML knows and the one that a Jetson has; what NVML refuses there comes from sysfs."""
    known = [_by_nvml(nvml, index) for index in range(nvml.count)] if nvml else []
    jetson = _by_sysfs(root)
    if jetson is None:
        return known
    return [_joined(known[0], jetson), *known[1:]] if known else [jetson]


def _by_nvml(nvml: Nvml, index: int) -> Gpu:
    load = nvml.device(index, "nvmlDeviceGetUtilizationRates")
    memory = nvml.device(index, "nvmlDeviceGetMemoryInfo")
    return Gpu(
        name=nvml.word(index, "nvmlDeviceGetName") or f"GPU {index}",
        source="nvml",
        load=None if load is None else load.gpu / 100,
        hertz=nvml.number(index, "nvmlDeviceGetClockInfo", GRAPHICS, factor=1e6),
        highest=nvml.number(index, "nvmlDeviceGetMaxClockInfo", GRAPHICS, factor=1e6),
        celsius=nvml.number(index, "nvmlDeviceGetTemperature", SENSOR_GPU),
        watts=nvml.number(index, "nvmlDeviceGetPowerUsage", factor=1e-3),
        watts_limit=nvml.number(index, "nvmlDeviceGetEnforcedPowerLimit", factor=1e-3),
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        capability=nvml.capability(index),
        throttled=nvml.throttled(index),
    )


def _by_sysfs(root: Path) -> Gpu | None:
    folders = gpu_folders(root)
    if not folders:
        return None
    path = load_file(root)
    return Gpu(
        name=folders[0].name,
        source="sysfs",
        load=scaled(path, 1e-3) if path else None,
        hertz=scaled(folders[0] / "cur_freq", 1.0),
        highest=scaled(folders[0] / "max_freq", 1.0),
        celsius=next((zone.celsius for zone in read_zones(root) if zone.name == "gpu-thermal"), None),
        capability=CAPABILITIES.get(read_board(root).soc or ""),
    )


def load_file(root: Path) -> Path | None:
    """Return the file in which a Jetson tells its GPU's load in thousandths, None where it has none."""
    beside = [folder / "device/load" for folder in gpu_folders(root)]
    return next((path for path in [*(root / name for name in LOADS), *beside] if os.path.exists(path)), None)


def _joined(told: Gpu, seen: Gpu) -> Gpu:
    """Return what NVML told, with what it refused filled in from sysfs."""
    fields = ("load", "hertz", "highest", "celsius", "capability")
    missing = {name: getattr(seen, name) for name in fields if getattr(told, name) is None}
    return replace(told, source="nvml+sysfs" if missing else "nvml", **missing)
