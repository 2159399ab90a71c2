"""Clocks of processor, GPU and memory, with their limits and governors. Clocks are read here, never set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vultus.telemetry.files import children, scaled, text

__all__ = ["Clock", "gpu_folders", "memory_folders", "policy_folders", "read_clocks"]

# 17000000.ga10b on JetPack 5, 17000000.gpu on 6 and on Orin with 7; Thor has gpu-gpc-0 and, for video, gpu-nvd-0.
GPU = re.compile(r"[0-9a-f]+\.(gpu|ga10b|gv11b)|gpu-.*")
MEMORY = re.compile(r"bwmgr|.*\.(emc|external-memory-controller)|dmc.*")
EMC = "sys/kernel/debug/bpmp/debug/clk/emc"  # for root alone


@dataclass(frozen=True)
class Clock:
    """One clock domain, in hertz; None for what is not readable.

    kind: `cpu` (one cpufreq policy), `gpu` or `memory`. lowest, highest: what the governor may choose now;
    limit: what the hardware allows. cores: those that the policy drives.
    """

    kind: Literal["cpu", "gpu", "memory"]
    name: str
    hertz: float | None
    lowest: float | None = None
    highest: float | None = None
    limit: float | None = None
    governor: str | None = None
    cores: str | None = None

    @property
    def locked(self) -> bool:
        """Whether the governor has no choice, as after jetson_clocks."""
        return self.lowest is not None and self.lowest == self.highest


def read_clocks(root: Path = Path("/")) -> list[Clock]:
    """Return the clocks below a root: processors, GPUs, memory."""
    policies = [_policy(folder) for folder in policy_folders(root)] or _nominal(root)
    gpus = [_devfreq("gpu", folder) for folder in gpu_folders(root)]
    memory = [_devfreq("memory", folder) for folder in memory_folders(root)] or _emc(root / EMC)
    return [*policies, *gpus, *memory]


def policy_folders(root: Path) -> list[Path]:
    """Return the folders of the cpufreq policies."""
    return children(root / "sys/devices/system/cpu/cpufreq", "policy*")


def gpu_folders(root: Path) -> list[Path]:
    """Return the devfreq folders of GPUs."""
    return children(root / "sys/class/devfreq", "*", lambda path: bool(GPU.fullmatch(path.name)))


def memory_folders(root: Path) -> list[Path]:
    """Return the devfreq folders of memory."""
    return children(root / "sys/class/devfreq", "*", lambda path: bool(MEMORY.fullmatch(path.name)))


def _policy(folder: Path) -> Clock:
    return Clock(
        "cpu",
        folder.name,
        scaled(folder / "scaling_cur_freq", 1e3),
        scaled(folder / "scaling_min_freq", 1e3),
        scaled(folder / "scaling_max_freq", 1e3),
        scaled(folder / "cpuinfo_max_freq", 1e3),
        text(folder / "scaling_governor"),
        text(folder / "affected_cpus") or text(folder / "related_cpus"),
    )


def _nominal(root: Path) -> list[Clock]:
    """Return the mean of what the processors are said to run at where nothing governs them, as in a guest."""
    found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text(root / "proc/cpuinfo") or "", re.MULTILINE)
    megahertz = [float(value) for value in found]
    return [Clock("cpu", "cpuinfo", 1e6 * sum(megahertz) / len(megahertz))] if megahertz else []


def _devfreq(kind: Literal["gpu", "memory"], folder: Path) -> Clock:
    steps = [int(step) for step in (text(folder / "available_frequencies") or "").split() if step.isdigit()]
    return Clock(
        kind,
        folder.name,
        scaled(folder / "cur_freq", 1.0),
        scaled(folder / "min_freq", 1.0),
        scaled(folder / "max_freq", 1.0),
        float(max(steps)) if steps else None,
        text(folder / "governor"),
    )


def _emc(folder: Path) -> list[Clock]:
    hertz = scaled(folder / "rate", 1.0)
    lowest, highest = scaled(folder / "min_rate", 1.0), scaled(folder / "max_rate", 1.0)
    return [] if hertz is None else [Clock("memory", "emc", hertz, lowest, highest, highest)]
