"""Committed tables and cards equal what the committed results give."""

from __future__ import annotations

import pytest

import tables


def test_tables_and_cards_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    code = tables.main(["--check"])
    seen = capsys.readouterr()
    assert code == 0, f"run benchmarks/tables.py:\n{seen.out}{seen.err}"
