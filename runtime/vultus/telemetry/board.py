"""Which board this is: model, part number, L4T and JetPack, power mode."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Board", "PowerMode"]


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
