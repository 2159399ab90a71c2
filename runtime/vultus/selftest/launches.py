"""A driver that notes what is launched, so that single kernels can be counted, launched again and timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from vultus.cuda.driver import Argument, Driver, Function, Stream

__all__ = ["Launch", "LaunchLog"]


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel; its arguments point to memory that must still be there to launch it again."""

    function: Function
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    arguments: tuple[Argument, ...]

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.function.name

    def again(self, driver: Driver, stream: Stream) -> None:
        """Enqueue the same launch once more."""
        driver.launch(self.function, self.grid, self.block, self.arguments, stream)


class LaunchLog:
    """Notes every launch that goes through `driver`, which is otherwise the driver given."""

    def __init__(self, driver: Driver) -> None:
        self._inner = driver
        self.launches: list[Launch] = []

    @property
    def driver(self) -> Driver:
        """The driver to hand on."""
        return cast("Driver", self)

    def __getattr__(self, name: str) -> Any:
        """Everything but `launch` is the driver's own."""
        return getattr(self._inner, name)

    def launch(
        self,
        function: Function,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: Stream,
    ) -> None:
        """Note and enqueue a kernel."""
        self.launches.append(Launch(function, grid, block, tuple(arguments)))
        self._inner.launch(function, grid, block, arguments, stream)
