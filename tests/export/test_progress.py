"""Progress where nobody watches a terminal: a line now and then, and one at the end of each kind of work."""

from __future__ import annotations

import io

from rich.console import Console

from vultus_export.progress import EVERY, shown_progress


def test_lines_come_every_ten_seconds_and_at_the_end() -> None:
    text, now = io.StringIO(), [100.0]
    with shown_progress(Console(file=text, force_terminal=False), lambda: now[0]) as tick:
        for done in range(1, 31):
            now[0] += 1
            tick("reading", done, 30)
        for done in range(1, 4):
            now[0] += 1
            tick("[judging]", done, 3)
    assert EVERY == 10
    assert text.getvalue().splitlines() == [
        "reading: 10 of 30, 10 s",
        "reading: 20 of 30, 20 s",
        "reading: 30 of 30, 30 s",
        "[judging]: 3 of 3, 3 s",
    ]


def test_a_terminal_gets_bars() -> None:
    text = io.StringIO()
    with shown_progress(Console(file=text, force_terminal=True, width=80)) as tick:
        tick("reading", 3, 3)
    assert "3/3" in text.getvalue()
    assert "\x1b[" in text.getvalue()
