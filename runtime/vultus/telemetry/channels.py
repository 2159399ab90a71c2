"""What is sampled beside a run: every sensor that was found, as a named channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from vultus.telemetry.clocks import gpu_folders, memory_folders, policy_folders
from vultus.telemetry.events import counter_files
from vultus.telemetry.files import children, integer, reason, scaled, text
from vultus.telemetry.gpu import load_file
from vultus.telemetry.load import BusyShare, OwnShare, memory, rss
from vultus.telemetry.nvml import GRAPHICS, SENSOR_GPU, Nvml
from vultus.telemetry.rails import rail_sources
from vultus.telemetry.thermal import zone_celsius, zone_reason

__all__ = ["UNITS", "Channel", "Kind", "find_channels"]

Kind = Literal["power", "energy", "temperature", "clock", "load", "events", "cooling", "memory"]
UNITS: dict[Kind, str] = {
    "power": "W",
    "energy": "J",
    "temperature": "°C",
    "clock": "Hz",
    "load": "1",
    "events": "1",
    "cooling": "1",
    "memory": "B",
}


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Channel:
    """One quantity and how it is read: a number in the unit of its kind, None when not readable at the moment.

    why: tells what hinders the reading when it is None.
    """

    kind: Kind
    name: str
    source: str
    read: Callable[[], float | None]
    why: Callable[[], str] = _nothing

    @property
    def key(self) -> str:
        """Kind and name, which are unique together: `power/VDD_IN`."""
        return f"{self.kind}/{self.name}"

    @property
    def unit(self) -> str:
        """The unit of its values."""
        return UNITS[self.kind]


def find_channels(root: Path = Path("/"), nvml: Nvml | None = None) -> list[Channel]:
    """Return all that can be sampled below a root and, from NVML, of GPUs, under keys that are unique.

    Readable now or not: a GPU that sleeps answers later. Nothing is searched again while sampling.
    """
    found: dict[str, Channel] = {}
    for channel in _all(root, nvml):
        named, copies = channel, 1
        while named.key in found:
            copies += 1
            named = replace(channel, name=f"{channel.name} {copies}")
        found[named.key] = named
    return list(found.values())


def _all(root: Path, nvml: Nvml | None) -> Iterator[Channel]:
    yield from _power(root, nvml)
    yield from _temperatures(root)
    yield from _clocks(root)
    yield from _counters(root)
    yield from _load(root)
    if nvml is not None:
        for index in range(nvml.count):
            yield from _gpu(nvml, index)


def _power(root: Path, nvml: Nvml | None) -> Iterator[Channel]:
    for rail in (*rail_sources(root), *(nvml.rails() if nvml else ())):
        yield Channel("energy" if rail.counter else "power", rail.name, rail.source, rail.read, rail.why)


def _temperatures(root: Path) -> Iterator[Channel]:
    for folder in children(root / "sys/class/thermal", "thermal_zone*"):
        path = folder / "temp"
        name = text(folder / "type") or folder.name
        yield Channel("temperature", name, "thermal", partial(zone_celsius, path), partial(zone_reason, path))


def _clocks(root: Path) -> Iterator[Channel]:
    for folder in policy_folders(root):
        yield _file("clock", folder.name, "cpufreq", folder / "scaling_cur_freq", 1e3)
    for folder in (*gpu_folders(root), *memory_folders(root)):
        yield _file("clock", folder.name, "devfreq", folder / "cur_freq", 1.0)


def _counters(root: Path) -> Iterator[Channel]:
    for path in counter_files(root):
        yield _file("events", path.name.removesuffix("_event_cnt"), "soctherm_oc", path, 1.0)
    for folder in children(root / "sys/class/thermal", "cooling_device*", _may_slow):
        yield _file("cooling", text(folder / "type") or folder.name, "thermal", folder / "cur_state", 1.0)


def _may_slow(folder: Path) -> bool:
    """Tell whether to sample a cooling device: those of each single core would be many and say the same."""
    name = text(folder / "type") or ""
    return name != "Processor" and (integer(folder / "max_state") or 0) > 0


def _load(root: Path) -> Iterator[Channel]:
    yield Channel("load", "cpu", "proc", BusyShare(root))
    yield Channel("load", "self", "proc", OwnShare())
    available, own = partial(_available, root), partial(rss, root)
    yield Channel("memory", "available", "proc", available, lambda: "/proc/meminfo does not tell it")
    yield Channel("memory", "self", "proc", own, lambda: "/proc/self/status does not tell it")
    if path := load_file(root):
        yield _file("load", "gpu", "sysfs", path, 1e-3)


def _available(root: Path) -> float | None:
    return memory(root).get("MemAvailable")


def _file(kind: Kind, name: str, source: str, path: Path, factor: float) -> Channel:
    return Channel(kind, name, source, partial(scaled, path, factor), partial(reason, path))


def _gpu(nvml: Nvml, index: int) -> Iterator[Channel]:
    """Yield what NVML answers about a GPU; what it refuses at the start it refuses for good."""
    name = f"GPU {index}"
    readers: tuple[tuple[Kind, Callable[[], float | None]], ...] = (
        ("temperature", lambda: nvml.number(index, "nvmlDeviceGetTemperature", SENSOR_GPU)),
        ("clock", lambda: nvml.number(index, "nvmlDeviceGetClockInfo", GRAPHICS, factor=1e6)),
        ("load", lambda: _field(nvml.device(index, "nvmlDeviceGetUtilizationRates"), "gpu", 0.01)),
        ("memory", lambda: _field(nvml.device(index, "nvmlDeviceGetMemoryInfo"), "used", 1.0)),
    )
    for kind, read in readers:
        if read() is not None:
            yield Channel(kind, name, "nvml", read, lambda: "NVML does not answer")
    if nvml.device(index, "nvmlDeviceGetCurrentClocksEventReasons") is not None:
        yield Channel("cooling", name, "nvml", lambda: float(len(nvml.throttled(index))))


def _field(answer: object, name: str, factor: float) -> float | None:
    return None if answer is None else getattr(answer, name) * factor
