"""Progress of a build: shares that never fall, lines without a terminal, a bar with one, and Ctrl-C."""

from __future__ import annotations

import _thread
import re
import time
from io import StringIO

import pytest
from rich.console import Console

from vultus_export.tensorrt import progress
from vultus_export.tensorrt.progress import BuildState, watched


def test_shares_of_nested_phases_add_up_and_never_fall() -> None:
    state, seen = BuildState(), []
    state.phase_start("all", None, 2)
    state.phase_start("inner", "all", 4)
    for step in range(4):
        assert state.step_complete("inner", step)
        seen.append(state.snapshot())
    state.phase_finish("inner")
    state.step_complete("all", 0)
    seen.append(state.snapshot())
    state.phase_start("late", "all", 2)
    state.step_complete("late", 0)
    seen.append(state.snapshot())
    assert [share for share, _ in seen] == [0.125, 0.25, 0.375, 0.5, 0.5, 0.75]
    assert [text for _, text in seen] == ["inner"] * 4 + ["all", "late"]
    state.phase_finish("late")
    state.phase_finish("all")
    assert state.snapshot() == (0.75, "finishing")


def test_phases_that_nobody_started_change_nothing() -> None:
    state = BuildState()
    assert state.step_complete("unknown", 3)
    state.phase_finish("unknown")
    assert state.snapshot()[0] == 0.0


def test_a_stop_is_told_to_every_following_step() -> None:
    state = BuildState()
    state.phase_start("all", None, 9)
    assert state.step_complete("all", 0)
    state.stop()
    assert not state.step_complete("all", 1)


def _work(state: BuildState) -> str:
    state.phase_start("Timing", None, 20)
    for step in range(20):
        time.sleep(0.01)
        state.step_complete("Timing", step)
    return "engine"


def test_without_a_terminal_lines_tell_the_time_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY", 0.05)
    monkeypatch.setattr(progress, "REDRAW_EVERY", 0.02)
    said, state = StringIO(), BuildState()
    console = Console(file=said, width=200)
    began = time.monotonic()
    assert watched(lambda: _work(state), state, "x.engine", console) == "engine"
    passed = time.monotonic() - began
    first, *between, last = said.getvalue().splitlines()
    assert first == "x.engine: started"
    assert between
    # A busy machine may look before the work begins, and take seconds over it; no line says more than have passed.
    said_seconds = [re.search(r"\d%, (?:reading the model|Timing), (\d+) s", line) for line in between]
    assert all(one and int(one[1]) <= passed + 0.5 for one in said_seconds), between
    assert any("Timing" in line for line in between)
    ended = re.fullmatch(r"x\.engine: ended after (\d+\.\d) s", last)
    assert ended
    assert 0.1 <= float(ended[1]) <= passed + 0.05


def test_on_a_terminal_a_bar_tells_the_time_spent() -> None:
    said, state = StringIO(), BuildState()
    console = Console(file=said, force_terminal=True, width=120)
    assert watched(lambda: _work(state), state, "x.engine", console) == "engine"
    text = said.getvalue()
    assert "x.engine" in text
    assert "%" in text
    assert "0:00:0" in text


def test_errors_of_the_build_come_through() -> None:
    def fails() -> None:
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        watched(fails, BuildState(), "x", Console(file=StringIO()))


@pytest.mark.parametrize("presses", [1, 3])
def test_ctrl_c_stops_the_build_at_its_next_step_and_waits_for_it(presses: int) -> None:
    state, steps = BuildState(), []

    def work() -> None:
        state.phase_start("Timing", None, 1000)
        for step in range(1000):
            if 5 <= step < 5 + presses:
                _thread.interrupt_main()
                time.sleep(0.1)
            time.sleep(0.01)
            steps.append(step)
            if not state.step_complete("Timing", step) and step >= 5 + presses:
                return

    said = StringIO()
    with pytest.raises(KeyboardInterrupt):
        watched(work, state, "x", Console(file=said))
    assert 5 <= len(steps) < 200
    ended = len(steps)
    time.sleep(0.05)
    assert len(steps) == ended
    assert "stopping at TensorRT's next step" in said.getvalue()


def test_ctrl_c_while_the_build_begins_is_not_lost() -> None:
    state = BuildState()

    def work() -> None:
        _thread.interrupt_main()
        for step in range(1000):
            time.sleep(0.01)
            if not state.step_complete("Timing", step):
                return

    for _ in range(5):
        state = BuildState()
        with pytest.raises(KeyboardInterrupt):
            watched(work, state, "x", Console(file=StringIO()))
        assert state.stopping
