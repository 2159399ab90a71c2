"""What work that takes its time shows on standard error: bars on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["shown_progress"]

EVERY = 10.0
"""Seconds between two lines where there is no terminal."""

Tick = Callable[[str, int, int], None]


@contextmanager
def shown_progress(
    console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Tick]:
    """Give a function to call with what is being done, how many are done and how many there are.

    On a terminal each kind of work gets a bar. Without one, such as in a log, work is named every ten seconds and when
    it is done, with the time it took, so that nothing works in silence.
    """
    shown = console or Console(stderr=True, highlight=False)
    if not shown.is_terminal:
        yield _lines(shown, clock)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=shown) as progress:
        yield _bars(progress)


def _bars(progress: Progress) -> Tick:
    bars: dict[str, TaskID] = {}

    def tick(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = progress.add_task(what, total=total)
        progress.update(bars[what], completed=done, total=total)

    return tick


def _lines(console: Console, clock: Callable[[], float]) -> Tick:
    ended = said = clock()
    began: dict[str, float] = {}

    def tick(what: str, done: int, total: int) -> None:
        nonlocal ended, said
        now = clock()
        start = began.setdefault(what, ended)
        if done < total and now - said < EVERY:
            return
        said = now
        if done >= total:
            ended = now
            del began[what]
        console.print(f"{what}: {done} of {total}, {now - start:.0f} s", markup=False, soft_wrap=True)

    return tick
