"""Work of fixed shape at fixed addresses: enqueued step by step at first, as one CUDA graph afterwards."""

from __future__ import annotations

from collections.abc import Callable

from vultus.cuda.driver import Driver, Graph, Stream
from vultus.errors import DeviceError

__all__ = ["Replay"]


class Replay:
    """One piece of fixed work in one stream.

    It runs eagerly the first time, so that whatever the work loads late is loaded outside of a capture, and is
    captured at the second. capturable: False keeps it eager for good, and so does a capture that is refused, which
    some engines do without having said so before; `refused` is told why.
    """

    def __init__(
        self,
        driver: Driver,
        stream: Stream,
        work: Callable[[], None],
        capturable: bool,
        refused: Callable[[str], None],
    ) -> None:
        self._driver, self._stream, self._work = driver, stream, work
        self._capturable, self._warm, self._refused = capturable, False, refused
        self._graph: Graph | None = None

    @property
    def captured(self) -> bool:
        """Whether a graph is launched instead of the work."""
        return self._graph is not None

    def __call__(self) -> None:
        """Enqueue the work."""
        if self._graph is None and self._capturable and self._warm:
            self._capture()
        if self._graph is not None:
            self._graph.launch(self._stream)
        else:
            self._work()
            self._warm = True

    def prepare(self) -> None:
        """Run the work once and capture it now, so that nothing of it is left for later frames."""
        self._work()
        self._warm = True
        if self._capturable and self._graph is None:
            self._capture()

    def close(self) -> None:
        """Free the graph; the stream has been synchronised."""
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _capture(self) -> None:
        try:
            with self._driver.capture(self._stream) as graphs:
                self._work()
        except DeviceError as error:
            self._capturable = False
            self._refused(str(error))
        else:
            self._graph = graphs[0]
