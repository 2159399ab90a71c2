"""Progress of a build: TensorRT reports phases and steps, people see a bar or log lines with the time spent.

The build runs in a thread of its own, so that Ctrl-C is answered at once: the next step that TensorRT reports
is told to stop. Callbacks only write numbers under a lock; drawing happens in the caller's thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

__all__ = ["BuildState", "monitor_for", "watched"]

T = TypeVar("T")

LOG_EVERY = 10.0
REDRAW_EVERY = 0.1
LOOK_EVERY = 0.02


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class BuildState:
    """Phases of one build as TensorRT reports them, and whether the user asked to stop; safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, _Phase] = {}
        self._share = 0.0
        self._text = "reading the model"
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether the user asked to stop."""
        return self._stopping

    def stop(self) -> None:
        """Ask the build to end at its next step."""
        self._stopping = True

    def snapshot(self) -> tuple[float, str]:
        """Return (share done in 0-1, name of the innermost phase)."""
        with self._lock:
            return self._share, self._text

    def phase_start(self, name: str, parent: str | None, steps: int) -> None:
        """Note that a phase of so many steps began inside `parent`."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(int(steps), 1))
            self._text = name

    def step_complete(self, name: str, step: int) -> bool:
        """Note that a step of a phase ended; returns False when the build shall stop."""
        with self._lock:
            phase = self._phases.get(name)
            if phase:
                phase.done = int(step) + 1
            self._share = max(self._share, self._done())
        return not self._stopping

    def phase_finish(self, name: str) -> None:
        """Note that a phase ended, its last steps reported or not."""
        with self._lock:
            self._phases.pop(name, None)
            self._text = next(reversed(self._phases), "finishing")

    def _done(self, parent: str | None = None) -> float:
        """Return the share done of the first phase under `parent`, with the phases inside its current step."""
        for name, phase in self._phases.items():
            if phase.parent == parent:
                inside = self._done(name) if phase.done < phase.steps else 0.0
                return min((phase.done + inside) / phase.steps, 1.0)
        return 0.0


def monitor_for(trt: Any, state: BuildState) -> Any:
    """Return an IProgressMonitor of these bindings that writes to `state`."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            state.phase_start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return state.step_complete(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            state.phase_finish(phase_name)

    return Monitor()


def watched(work: Callable[[], T], state: BuildState, title: str, console: Console) -> T:
    """Run `work` in a thread and show its progress; returns its result or raises its error.

    Ctrl-C asks the build to stop, waits until it has and raises KeyboardInterrupt. A further Ctrl-C does not
    hasten it: TensorRT must not be torn down while it works.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    def ended() -> bool:
        return bool(results or errors)

    interrupted = False
    try:
        threading.Thread(target=run, name="build", daemon=True).start()
        (_bar if console.is_terminal else _lines)(ended, state, title, console)
    except KeyboardInterrupt:
        interrupted = True
    while interrupted and not ended():
        try:
            state.stop()
            console.print("stopping at TensorRT's next step ...")
            _wait(ended)
        except KeyboardInterrupt:
            continue
    if interrupted:
        raise KeyboardInterrupt
    if errors:
        try:
            raise errors[0]
        finally:
            # The error's traceback holds this frame. A builder that only the garbage collector frees may be freed
            # within another build, which then waits for its own lock.
            errors.clear()
    return results[0]


def _wait(ended: Callable[[], bool], seconds: float = float("inf")) -> bool:
    """Return whether the build ended within so many seconds.

    It looks again and again, because Event.wait and Thread.join can be left locked for ever by a Ctrl-C.
    """
    until = time.monotonic() + seconds
    while not ended() and time.monotonic() < until:
        time.sleep(LOOK_EVERY)
    return ended()


def _bar(ended: Callable[[], bool], state: BuildState, title: str, console: Console) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn(title),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        while not _wait(ended, REDRAW_EVERY):
            share, text = state.snapshot()
            bar.update(task, completed=share, description=text)


def _lines(ended: Callable[[], bool], state: BuildState, title: str, console: Console) -> None:
    start = shown = time.monotonic()
    console.print(f"{title}: started")
    while not _wait(ended, REDRAW_EVERY):
        now = time.monotonic()
        if now - shown >= LOG_EVERY:
            share, text = state.snapshot()
            console.print(f"{title}: {share:.0%}, {text}, {now - start:.0f} s")
            shown = now
    console.print(f"{title}: ended after {time.monotonic() - start:.1f} s")
