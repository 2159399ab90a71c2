"""Which board this is: model, part number, L4T and JetPack, power mode."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vultus.telemetry.files import text

__all__ = ["Board", "PowerMode", "debian_version", "read_board"]

MODE = re.compile(r"<\s*POWER_MODEL\s+(?=[^>]*\bID=(\d+))(?=[^>]*\bNAME=(\S+))[^>]*>")
RELEASE = re.compile(r"R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)")


@dataclass(frozen=True)
class PowerMode:
    """A power mode of nvpmodel: its number, which differs between boards and releases, and its name."""

    id: int
    name: str | None


@dataclass(frozen=True)
class Board:
    """The board; None for what it does not tell. No serial number is read.

    part_number: of the module, 699-13767-0005-300 where the board tells it whole, else p3767-0005.
    """

    model: str | None = None
    soc: str | None = None
    part_number: str | None = None
    l4t: str | None = None
    jetpack: str | None = None
    mode: PowerMode | None = None
    modes: tuple[PowerMode, ...] = ()

    @property
    def jetson(self) -> bool:
        """Whether this is a Jetson."""
        return self.l4t is not None or (self.soc or "").startswith("tegra")


def read_board(root: Path = Path("/")) -> Board:
    """Return the board below a root."""
    compatible = (text(root / "proc/device-tree/compatible") or "").split("\0")
    release = RELEASE.search(text(root / "etc/nv_tegra_release") or "")
    modes = tuple(_modes(root))
    return Board(
        model=text(root / "proc/device-tree/model") or text(root / "sys/class/dmi/id/product_name") or None,
        soc=_vendor_part(compatible, r"nvidia,(tegra\d+\w*)"),
        part_number=_part_number(root, compatible),
        l4t=f"{release[1]}.{release[2]}" if release else None,
        jetpack=debian_version(root, "nvidia-jetpack") if release else None,
        mode=_mode(root, modes),
        modes=modes,
    )


def debian_version(root: Path, package: str) -> str | None:
    """Return the version of the first installed Debian package that a pattern names, None when there is none."""
    pattern = rf"^Package: {package}\n(?:.+\n)*?Version: (\S+)"
    found = re.search(pattern, text(root / "var/lib/dpkg/status") or "", re.MULTILINE)
    return found[1] if found else None


def _vendor_part(compatible: list[str], pattern: str) -> str | None:
    return next((found[1] for entry in compatible if (found := re.fullmatch(pattern, entry))), None)


def _part_number(root: Path, compatible: list[str]) -> str | None:
    """Return what the boot loader copied from the module's EEPROM, else the module's number in the tree."""
    told = (text(root / "proc/device-tree/chosen/nvidia,sku") or "").split()
    return told[0] if told else _vendor_part(compatible, r"nvidia,(?:.*\+)?(p\d{4}-\d{4}).*")


def _modes(root: Path) -> list[PowerMode]:
    conf = text(root / "etc/nvpmodel.conf") or ""
    active = "\n".join(line for line in conf.splitlines() if not line.lstrip().startswith("#"))
    return [PowerMode(int(number), name.rstrip(">")) for number, name in MODE.findall(active)]


def _mode(root: Path, modes: tuple[PowerMode, ...]) -> PowerMode | None:
    """Return the mode that nvpmodel set last, from the file in which it keeps it; nvpmodel -q wants root."""
    status = re.search(r"pmode:\s*(\d+)", text(root / "var/lib/nvpmodel/status") or "")
    if not status:
        return None
    number = int(status[1])
    return next((mode for mode in modes if mode.id == number), PowerMode(number, None))
