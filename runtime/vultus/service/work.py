"""The Analyzer of the service: opened on what there is, and again when something better comes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vultus.errors import DeviceError, ModelError, SpecError
from vultus.service.choice import Choice, choose, without_engines
from vultus.service.config import Config
from vultus.service.journal import say
from vultus.service.places import Places

if TYPE_CHECKING:
    from vultus.pipeline import Analyzer

__all__ = ["Work", "open_work", "renewed"]


@dataclass(frozen=True)
class Work:
    """What is open now.

    analyzer: None while there is nothing to run on. files: of the models, as they were when they were opened.
    refused: files of engines that do not run, and why. seen: what the first boot had left when it was chosen.
    """

    config: Config
    chosen: Choice
    analyzer: Analyzer | None
    files: tuple[object, ...]
    seen: tuple[object, ...]
    refused: tuple[tuple[object, ...], str] | None = None

    def close(self) -> None:
        """Free the models."""
        if self.analyzer is not None:
            self.analyzer.close()


def open_work(config: Config, places: Places, old: Work | None = None, root: Path = Path("/")) -> Work:
    """Return the Analyzer for a configuration; the old one's where nothing that it depends on is new.

    The old one is left open. Raises MissingModel for a configuration that names what is not there, DeviceError,
    ModelError or SpecError when a model does not run and there is nothing else to run.
    """
    seen = _seen(config, places)
    chosen = choose(config, places, root)
    refused = old.refused if old else None
    if refused and chosen.slot is not None and refused[0] == _files(chosen):
        chosen = without_engines(config, refused[1], root)
    if old and _same(old, config, chosen):
        return replace(old, config=config, chosen=chosen, seen=seen)
    try:
        work = Work(config, chosen, _opened(config, chosen), _files(chosen), seen)
    except (DeviceError, ModelError, SpecError) as error:
        if chosen.slot is None:
            raise
        refused = (_files(chosen), f"the engines do not run: {error}")
        chosen = without_engines(config, refused[1], root)
        work = Work(config, chosen, _opened(config, chosen), _files(chosen), seen, refused)
    _tell(work)
    return work


def renewed(work: Work, places: Places, root: Path = Path("/")) -> Work:
    """Return the same work, or another where the first boot has brought other engines or other news."""
    return work if work.seen == _seen(work.config, places) else open_work(work.config, places, work, root)


def _same(old: Work, config: Config, chosen: Choice) -> bool:
    """Tell whether what is open is what would be opened; the reasons may be others."""
    same_way = (old.chosen.device, bool(old.chosen.wait)) == (chosen.device, bool(chosen.wait))
    return same_way and old.config.run == config.run and old.files == _files(chosen)


def _opened(config: Config, chosen: Choice) -> Analyzer | None:
    if chosen.wait:
        return None
    from vultus.pipeline import Analyzer

    run = config.run
    attributes = None if run.attributes == "all" else run.attributes
    return Analyzer(chosen.device, chosen.models, attributes, run.min_score, run.threads)


def _tell(work: Work) -> None:
    names = " and ".join(path.name for path in work.chosen.models)
    if work.chosen.wait:
        say(f"NOTHING IS ANALYSED: {work.chosen.wait}", "warning")
    elif work.chosen.warning:
        say(f"ATTENTION: {work.chosen.warning} ({names})", "warning")
    else:
        slot = f", slot {work.chosen.slot}" if work.chosen.slot else ""
        say(f"opened {names} for device {work.chosen.device}{slot}", "notice")


def _files(chosen: Choice) -> tuple[object, ...]:
    """Return what tells the model files from others of the same names."""
    return tuple((path, _changed(path)) for path in chosen.models)


def _seen(config: Config, places: Places) -> tuple[object, ...]:
    """Return what changes when the first boot has news; nothing where the CPU was asked for."""
    if config.run.device == "cpu":
        return ()
    return (places.slot, _changed(places.firstboot), _changed(places.engines), places.ready.exists())


def _changed(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
