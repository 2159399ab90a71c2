"""Power rails by label: Jetson's INA3221 and INA238, other hwmon chips, RAPL.

Some rails carry all that a board draws and others a part of that, so adding up whatever is there counts power twice.
Each rail says what it covers, and `board_input` names the one to integrate energy from, or that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from vultus.telemetry.files import children, integer, reason, scaled, text

__all__ = ["Rail", "RailSource", "Scope", "board_input", "rail_sources", "read_rails"]

Scope = Literal["board", "module", "part"]

# What NVIDIA's labels cover. VDD_IN feeds the whole Orin NX or Orin Nano module. AGX modules have two inputs: the
# high one, measured where it splits, and the 5 V one. VIN is the input of Thor's carrier with everything on it.
INPUTS: dict[str, Scope] = {"VDD_IN": "module", "VIN": "board"}
MODULE_SUMS = (("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"), ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"))
NO_RAIL = re.compile(r"NC|.*shunt.*|", re.IGNORECASE)


@dataclass(frozen=True)
class Rail:
    """One rail and what it carries now.

    source: the chip or interface (`ina3221`, `ina238`, `rapl`, `nvml`, another hwmon driver).
    scope: `board` draws through it with everything on it, `module` the system-on-module without its carrier,
    `part` only a part of it. watts: power, None when not readable. joules: reading of an energy counter, which
    says nothing by itself and is None for a rail that measures power. why: what hinders the reading.
    """

    name: str
    source: str
    scope: Scope
    watts: float | None = None
    joules: float | None = None
    why: str = ""


@dataclass(frozen=True)
class RailSource:
    """A rail that was found, and how it is read: watts, or joules since its first reading when `counter`."""

    name: str
    source: str
    scope: Scope
    counter: bool
    read: Callable[[], float | None]
    why: Callable[[], str] = lambda: ""

    def rail(self) -> Rail:
        """Return what the rail carries now."""
        value = self.read()
        why = "" if value is not None else self.why()
        watts, joules = (None, value) if self.counter else (value, None)
        return Rail(self.name, self.source, self.scope, watts, joules, why)


AnyRail = TypeVar("AnyRail", Rail, RailSource)


def read_rails(root: Path = Path("/"), others: Iterable[RailSource] = ()) -> list[Rail]:
    """Return every rail below a root and of `others`, such as those of NVML, with what it carries now."""
    return [source.rail() for source in (*rail_sources(root), *others)]


def board_input(rails: Iterable[AnyRail]) -> AnyRail | None:
    """Return the rail that all power passes through: the board's, else the module's, else None."""
    known = list(rails)
    for scope in ("board", "module"):
        for rail in known:
            if rail.scope == scope:
                return rail
    return None


def rail_sources(root: Path = Path("/")) -> list[RailSource]:
    """Return the rails below a root, under names that are unique."""
    found = [
        rail for chip in children(root / "sys/class/hwmon", "hwmon*") for rail in _chip_rails(chip, root)
    ]
    return _unique([*found, *_module_sum(found), *_rapl_rails(root / "sys/class/powercap")])


def _chip_rails(chip: Path, root: Path) -> list[RailSource]:
    driver = text(chip / "name") or "hwmon"
    powers = children(chip, "power[0-9]*_input") or children(chip, "power[0-9]*_average")
    if powers:
        return [_power_rail(chip, path, driver, root) for path in powers]
    if not driver.startswith("ina"):  # other chips number voltages and currents independently of each other
        return []
    channels = (
        path.name.removeprefix("curr").removesuffix("_input") for path in children(chip, "curr*_input")
    )
    return [_product_rail(chip, n, driver) for n in channels if _is_rail(chip, n)]


def _is_rail(chip: Path, channel: str) -> bool:
    """Tell whether a channel of an INA3221 measures a rail: unconnected ones and sums of shunts do not."""
    label = text(chip / f"in{channel}_label") or ""
    return not NO_RAIL.fullmatch(label) and text(chip / f"in{channel}_enable") != "0"


def _power_rail(chip: Path, path: Path, driver: str, root: Path) -> RailSource:
    number = re.sub(r"\D", "", path.name)
    label = text(chip / f"power{number}_label") or text(chip / f"in{number}_label")
    if (
        label is None
        and driver == "ina238"
        and "tegra264" in (text(root / "proc/device-tree/compatible") or "")
    ):
        label = "VIN"  # the driver names no channels; on Thor's carrier it is the input's monitor
    name = label or f"{driver} power{number}"
    scope: Scope = "board" if driver == "power_meter" else INPUTS.get(name, "part")
    return RailSource(name, driver, scope, False, lambda: scaled(path, 1e-6), lambda: reason(path))


def _product_rail(chip: Path, channel: str, driver: str) -> RailSource:
    volts, amperes = chip / f"in{channel}_input", chip / f"curr{channel}_input"

    def read() -> float | None:
        millivolts, milliamperes = integer(volts), integer(amperes)
        return None if millivolts is None or milliamperes is None else millivolts * milliamperes * 1e-6

    name = text(chip / f"in{channel}_label") or f"{driver} {channel}"
    return RailSource(
        name, driver, INPUTS.get(name, "part"), False, read, lambda: reason(volts) or reason(amperes)
    )


def _module_sum(found: Sequence[RailSource]) -> list[RailSource]:
    """Return the input of an AGX module, which is measured in parts, as their sum."""
    by_name = {rail.name: rail for rail in found}
    for names in MODULE_SUMS:
        if all(name in by_name for name in names):
            return [_added("+".join(names), [by_name[name] for name in names])]
    return []


def _added(name: str, parts: Sequence[RailSource]) -> RailSource:
    source = f"sum of {parts[0].source}"
    return RailSource(name, source, "module", False, lambda: _sum(parts), lambda: _why(parts))


def _sum(parts: Sequence[RailSource]) -> float | None:
    values = [part.read() for part in parts]
    return None if None in values else sum(value for value in values if value is not None)


def _why(parts: Sequence[RailSource]) -> str:
    return next((f"{part.name}: {why}" for part in parts if (why := part.why())), "")


def _rapl_rails(folder: Path) -> list[RailSource]:
    """Return the domains of RAPL; those over MMIO repeat them."""
    zones = children(folder, "intel-rapl:*") or children(folder, "amd-rapl:*")
    return [_rapl_rail(zone) for zone in zones]


def _rapl_rail(zone: Path) -> RailSource:
    name, path = text(zone / "name") or zone.name, zone / "energy_uj"
    if zone.name.count(":") > 1:
        parent = text(zone.parent / zone.name.rpartition(":")[0] / "name") or zone.name
        name = f"{parent} {name}"
    counter = _Counter(path, integer(zone / "max_energy_range_uj"))
    return RailSource(name, "rapl", "part", True, counter, lambda: reason(path))


class _Counter:
    """Joules since the first reading of a counter that starts again at 0 behind its range."""

    def __init__(self, path: Path, span: int | None) -> None:
        self._path, self._span = path, span
        self._last: int | None = None
        self._total = 0

    def __call__(self) -> float | None:
        now = integer(self._path)
        if now is None:
            return None
        step = 0 if self._last is None else now - self._last
        if step < 0:  # a range later; 0 where the range is not told, which loses one interval
            step = step + self._span if self._span else 0
        self._last, self._total = now, self._total + step
        return self._total * 1e-6


def _unique(sources: Iterable[RailSource]) -> list[RailSource]:
    seen: dict[str, int] = {}
    unique = []
    for rail in sources:
        seen[rail.name] = count = seen.get(rail.name, 0) + 1
        name = rail.name if count == 1 else f"{rail.name} {count}"
        unique.append(RailSource(name, rail.source, rail.scope, rail.counter, rail.read, rail.why))
    return unique
