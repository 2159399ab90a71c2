"""Boards as folders: the files that telemetry reads, unpacked from manifests that say where they come from.

Every manifest in boards/ names its sources and what in it is a placeholder. They were assembled from documentation
and published readings; none was read from a board by this project.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

__all__ = ["BOARDS", "DESKTOP", "ORIN", "THOR", "RecordedNvml", "manifest", "unpack"]

FOLDER = Path(__file__).with_name("boards")
BOARDS = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def manifest(name: str) -> dict[str, Any]:
    """Return a board's manifest: provenance, sources, asleep, files by folder."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def unpack(name: str, root: Path) -> Path:
    """Write a board's files below a root and return it.

    What is asleep on the board refuses to be read there; here it is a folder in the place of the file, which
    refuses as well.
    """
    board = manifest(name)
    for folder, files in board["files"].items():
        for file, content in files.items():
            path = root / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if content.endswith(("\n", "\0")) else f"{content}\n")
    for path in board["asleep"]:
        (root / path).mkdir(parents=True)
    return root


class NotSupported(Exception):
    """What NVML answers to what a GPU does not tell."""

    def __str__(self) -> str:
        return "Not Supported"


DESKTOP: dict[str, Any] = {
    "nvmlDeviceGetName": "NVIDIA GeForce RTX 4090",
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=37, memory=12),
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=25757220864, used=1073741824, free=24683479040),
    "nvmlDeviceGetClockInfo": 2520,
    "nvmlDeviceGetMaxClockInfo": 3105,
    "nvmlDeviceGetTemperature": 61,
    "nvmlDeviceGetPowerUsage": 201250,
    "nvmlDeviceGetEnforcedPowerLimit": 450000,
    "nvmlDeviceGetTotalEnergyConsumption": 5_000_000,
    "nvmlDeviceGetCudaComputeCapability": (8, 9),
    "nvmlDeviceGetCurrentClocksEventReasons": 0x04,
    "driver": "580.95.05",
    "cuda": 13000,
}
ORIN: dict[str, Any] = {"nvmlDeviceGetName": "Orin (nvgpu)", "driver": "595.78", "cuda": 13020}
THOR: dict[str, Any] = {
    "nvmlDeviceGetName": b"NVIDIA Thor",
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=98, memory=0),
    "nvmlDeviceGetCudaComputeCapability": (11, 0),
    "driver": b"580.00",
    "cuda": 13000,
}


class RecordedNvml:
    """What nvidia-ml-py answers on a machine, by function; everything else is not supported."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = dict(answers)
        self.open = 0

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"handle {index}"

    def nvmlSystemGetDriverVersion(self) -> Any:
        return self.answers["driver"]

    def nvmlSystemGetCudaDriverVersion(self) -> Any:
        return self.answers["cuda"]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvmlDeviceGet"):
            raise AttributeError(name)

        def answer(handle: str, *arguments: Any) -> Any:
            assert handle == "handle 0"
            if name not in self.answers:
                raise NotSupported
            return self.answers[name]

        return answer
