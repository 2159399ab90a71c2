"""What the service holds open: source, models and outputs; changed to another configuration without a gap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vultus.errors import SinkError
from vultus.service import outputs
from vultus.service.config import Config, Output
from vultus.service.feeds import reader_from_source
from vultus.service.outputs import LineOutput
from vultus.service.places import Places
from vultus.service.work import Work, open_work, renewed
from vultus.sources.latest import LatestFrame

__all__ = ["Parts"]


class Parts:
    """Source, models and outputs of a configuration.

    Raises ConfigError, SinkError, DeviceError, ModelError or SpecError when something new cannot be opened.
    """

    def __init__(
        self, config: Config, where: Places, say: Callable[[str], None], root: Path = Path("/")
    ) -> None:
        self._where, self._say, self._root = where, say, root
        self.work: Work = open_work(config, where, root=root)
        try:
            self._outputs = _opened(config.output, {})
        except BaseException:
            self.work.close()
            raise
        self.reader = self._reading(config)

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self.work.config

    @property
    def outputs(self) -> list[LineOutput]:
        """The open outputs."""
        return list(self._outputs.values())

    def change(self, config: Config) -> None:
        """Change to another configuration; what is the same in it stays open, and nothing changes on a failure."""
        work = open_work(config, self._where, self.work, self._root)
        try:
            news = _opened(config.output, self._outputs)
        except SinkError:
            if work.analyzer is not self.work.analyzer:
                work.close()
            raise
        for output in self._outputs.keys() - set(config.output):
            self._outputs.pop(output).close()
        self._outputs.update(news)
        before = self.config
        self._take(work)
        if (before.source, before.health.stall_s) != (config.source, config.health.stall_s):
            self.reader.stop()
            self.reader = self._reading(config)

    def renew(self) -> None:
        """Change to the engines of the first boot when there are new ones."""
        self._take(renewed(self.work, self._where, self._root))

    def close(self) -> None:
        """Leave the source, the clients and the models."""
        self.reader.stop()
        for output in self.outputs:
            output.close()
        self.work.close()

    def _take(self, work: Work) -> None:
        old, self.work = self.work, work
        if old.analyzer is not work.analyzer:
            old.close()

    def _reading(self, config: Config) -> LatestFrame:
        reader = reader_from_source(config.source, config.health.stall_s, self._say)
        reader.start()
        return reader


def _opened(wanted: tuple[Output, ...], there: dict[Output, LineOutput]) -> dict[Output, LineOutput]:
    """Open the outputs that are not there yet, all of them or none."""
    news: dict[Output, LineOutput] = {}
    try:
        for output in wanted:
            if output not in there:
                news[output] = outputs.opened(output)
    except SinkError:
        for made in news.values():
            made.close()
        raise
    return news
