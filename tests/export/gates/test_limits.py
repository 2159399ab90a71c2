"""The table of limits, and the page that tells of it."""

from __future__ import annotations

import re

import pytest

from repository import ROOT
from vultus.errors import ModelError
from vultus_export.gates.judge import FAILED, FEW, NOISE, OK, UNDEFINED
from vultus_export.gates.limits import GROUP_FACTOR, LIMITS, MINIMUM, limit_for

PAGE = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)


def test_the_page_holds_the_table() -> None:
    told = {kind: (float(fp16), float(int8)) for kind, fp16, int8 in ROW.findall(PAGE)}
    assert told == {kind: pytest.approx((limit.fp16, limit.int8)) for kind, limit in LIMITS.items()}
    assert f"fewer than {MINIMUM} faces" in PAGE
    assert GROUP_FACTOR == 2
    assert all(f"| `{status}` |" in PAGE for status in (OK, NOISE, FAILED, FEW, UNDEFINED))


@pytest.mark.parametrize(
    ("kind", "precision", "limit"),
    [
        ("score", "fp16", 0.001),
        ("error", "fp16", 0.001),
        ("score", "int8", 0.01),
        ("error", "int8", 0.02),
        ("error", "int8-fp16", 0.02),
        ("error", "fp32", 0.001),
    ],
)
def test_what_each_precision_may_lose(kind: str, precision: str, limit: float) -> None:
    assert limit_for(kind, precision) == limit


def test_every_kind_is_stricter_for_fp16_than_for_int8() -> None:
    assert all(0 < limit.fp16 < limit.int8 for limit in LIMITS.values())


def test_an_unknown_precision_is_named() -> None:
    with pytest.raises(ModelError, match="there are no limits for precision 'int4'"):
        limit_for("score", "int4")
