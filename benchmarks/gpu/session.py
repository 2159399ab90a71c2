"""What the parts of a check share: the device, its kernels and networks, and how much is asked for."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType

from gpu.engines import KINDS, Networks, open_networks
from harness.provenance import choose_models
from vultus.cuda.code.modules import Kernels, load_kernels
from vultus.cuda.driver import Driver, open_driver
from vultus.cuda.pipeline import DevicePipeline
from vultus.types import ATTRIBUTES

__all__ = ["Asked", "Session"]


@dataclass(frozen=True)
class Asked:
    """What a run was asked for.

    quick: as little as shows that everything works; its figures mean nothing. pictures: folder for the comparison
    with the CPU. frames, seconds: of the endurance run, whichever is over first. cache: folder of built engines.
    """

    quick: bool = False
    engines: tuple[str, ...] = KINDS
    precision: str = "fp16"
    models: tuple[Path, ...] = ()
    pictures: Path | None = None
    frames: int = 100_000
    seconds: float | None = None
    cache: Path = Path("out/engines")
    device: int = 0


@dataclass
class Session:
    """One device for one run; a context manager. Networks are opened when a part first wants them."""

    asked: Asked
    stack: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def driver(self) -> Driver:
        """The device."""
        driver = open_driver(self.asked.device)
        self.stack.callback(driver.close)
        return driver

    @cached_property
    def kernels(self) -> Kernels:
        """The kernels, loaded."""
        kernels = load_kernels(self.driver)
        self.stack.callback(kernels.close)
        return kernels

    @cached_property
    def networks(self) -> Networks:
        """The networks, opened with the best engine."""
        files = choose_models(self.asked.models, None if self.asked.models else self.asked.precision)
        networks = open_networks(files, self.driver, self.asked.engines, self.asked.cache)
        self.stack.callback(networks.close)
        return networks

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """What the face network measures."""
        fields = {head.field for head in self.networks.face.spec.heads}
        return tuple(name for name in ATTRIBUTES if name in fields)

    @property
    def fake(self) -> bool:
        """Whether the driver is the tests' stand-in, which says nothing about any GPU."""
        return "fake" in self.driver.info.name.lower()

    def pipeline(self, graphs: bool = True, driver: Driver | None = None) -> DevicePipeline:
        """Return a new pipeline, which its user closes."""
        found = self.networks
        return DevicePipeline(
            driver or self.driver, self.kernels, found.detector, found.face, self.attributes, graphs=graphs
        )

    def rounds(self, full: int) -> int:
        """Return how often something is timed."""
        return 3 if self.asked.quick else full

    def __enter__(self) -> Session:
        """Return the session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free everything."""
        self.stack.close()
