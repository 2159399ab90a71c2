"""On what the service runs: the engines of the first boot, the CPU until there are some, or nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vultus.engines.devices import cuda_problem
from vultus.errors import SourceError
from vultus.service.config import Config
from vultus.service.firstboot import read_firstboot
from vultus.service.models import MissingModel, engine_files, model_files
from vultus.service.places import Places
from vultus.telemetry.board import read_board

__all__ = ["Choice", "choose", "without_engines"]

AGAIN = "rm {ready} and systemctl restart vultus-firstboot builds them"


@dataclass(frozen=True)
class Choice:
    """What to open, and what is not as it should be about it.

    slot: of the engines. wait: why nothing can be opened yet, empty where something can.
    """

    models: tuple[Path, ...]
    device: str
    slot: str | None = None
    warning: str = ""
    wait: str = ""


def choose(config: Config, places: Places, root: Path = Path("/")) -> Choice:
    """Return what to run on now; raises MissingModel when the configuration names models that are not there."""
    models = model_files(config, root)
    if config.run.device == "cpu":
        return Choice(tuple(models), "cpu")
    problem = cuda_problem()
    engines = engine_files(models, places.engines)
    if all(engine.is_file() for engine in engines) and not problem:
        return Choice(tuple(engines), "cuda", places.slot)
    if not _expects_engines(places, root):
        plain = problem and config.run.device == "auto"
        return Choice(_for_cpu(config, root) if plain else tuple(models), config.run.device)
    return without_engines(config, problem or _missing(engines, places), root)


def without_engines(config: Config, why: str, root: Path = Path("/")) -> Choice:
    """Return what to do on a device that should have engines and has none to use: the CPU if it may, or wait."""
    models = _for_cpu(config, root)
    if not config.run.cpu_until_ready:
        return Choice(models, "cpu", wait=f"{why}; waiting, since run.cpu_until_ready is false")
    return Choice(models, "cpu", warning=f"runs on the CPU, which is slow: {why}")


def _for_cpu(config: Config, root: Path) -> tuple[Path, ...]:
    """Return the models in FP32 where they are there, since a CPU gains nothing from the GPU's precisions."""
    try:
        return tuple(model_files(config, root, "fp32"))
    except MissingModel:
        return tuple(model_files(config, root))


def _expects_engines(places: Places, root: Path) -> bool:
    """Tell whether this is a device whose first boot builds engines."""
    return places.firstboot.exists() or places.engines.is_symlink() or read_board(root).jetson


def _missing(engines: list[Path], places: Places) -> str:
    """Return why there are no engines, in one clause."""
    try:
        told = read_firstboot(places.firstboot)
    except SourceError as error:
        return str(error)
    if told is None:
        return "the first boot has not begun; see systemctl status vultus-firstboot"
    if told.state != "ready":
        return f"the first boot is not done: {told.said}"
    absent = " and ".join(engine.name for engine in engines if not engine.is_file())
    return f"there is no {absent} in {places.engines}; {AGAIN.format(ready=places.ready)}"
