"""Verdicts on measures whose change, noise and groups are known."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from vultus.errors import ModelError
from vultus_export.gates.judge import FAILED, FEW, NOISE, OK, UNDEFINED, Comparison, Judged, judge, worst
from vultus_export.gates.limits import MINIMUM
from vultus_export.metrics.intervals import Index

NONE: Mapping[str, Index] = {}


def comparison(
    kind: str, master: npt.ArrayLike, candidate: npt.ArrayLike, groups: Mapping[str, Index] = NONE
) -> Comparison:
    """Compare the means of two series."""
    one, two = np.asarray(master, np.float64), np.asarray(candidate, np.float64)
    means = (lambda at: float(one[at].mean())), (lambda at: float(two[at].mean()))
    return Comparison("figure", kind, len(one), *means, groups)


def only(found: list[Judged]) -> Judged:
    assert len(found) == 1
    return found[0]


def right(count: int, of: int) -> npt.NDArray[np.float64]:
    """Return a series of `of` answers of which the first `count` are right."""
    return (np.arange(of) < count).astype(np.float64)


CASES = {
    "equal": ("score", right(90, 100), right(90, 100), "fp16", OK, 0.0),
    "better": ("score", right(90, 100), right(95, 100), "fp16", OK, -5 / 90),
    "within the limit": ("score", right(1000, 1000), right(995, 1000), "int8", OK, 0.005),
    "the same beyond that of fp16": ("score", right(1000, 1000), right(995, 1000), "fp16", FAILED, 0.005),
    "one flip of a hundred": ("score", right(100, 100), right(99, 100), "fp16", NOISE, 0.01),
    "twenty flips of a hundred": ("score", right(100, 100), right(80, 100), "int8", FAILED, 0.2),
    "as many flips both ways": ("score", right(500, 1000), right(500, 1000)[::-1], "fp16", OK, 0.0),
    "a steady rise of an error": ("error", np.full(50, 2.0), np.full(50, 2.1), "int8", FAILED, 0.05),
    "an error that falls": ("error", np.full(50, 2.0), np.full(50, 1.0), "int8", OK, -0.5),
    "a first false alarm": ("error", np.zeros(50), right(1, 50), "int8", NOISE, math.inf),
    "many first false alarms": ("error", np.zeros(50), right(25, 50), "int8", FAILED, math.inf),
    "deviation in its own unit": ("age", np.zeros(50), np.full(50, 1.5), "int8", FAILED, 1.5),
    "a distance across its limit by chance": (
        "age",
        np.zeros(50),
        np.arange(50) % 5 * 0.53,
        "int8",
        NOISE,
        1.06,
    ),
    "a distance far beyond it": ("age", np.zeros(50), np.arange(50) % 5, "int8", FAILED, 2.0),
    "broken candidate": ("score", right(9, 10), np.full(10, np.nan), "int8", FAILED, math.inf),
    "undefined master": ("score", np.full(10, np.nan), right(9, 10), "int8", UNDEFINED, math.nan),
    "int8 with fp16 scales": ("score", right(1000, 1000), right(995, 1000), "int8-fp16", OK, 0.005),
    "an fp32 copy": ("score", right(1000, 1000), right(995, 1000), "fp32", FAILED, 0.005),
}


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_change(name: str) -> None:
    kind, master, candidate, precision, status, change = CASES[name]
    found = only(judge([comparison(kind, master, candidate)], precision))
    assert found.status == status
    assert found.change == pytest.approx(change, nan_ok=True)
    assert (found.noise is not None) == (status == NOISE or (status == FAILED and "broken" not in name))


def test_noise_is_what_chance_alone_reaches() -> None:
    found = only(judge([comparison("score", right(100, 100), right(99, 100))], "fp16"))
    assert found.noise == pytest.approx(1.96 * math.sqrt(0.01 * 0.99 / 100), rel=0.1)


def test_a_group_may_change_twice_as_much_as_the_whole_and_no_less_than_the_limit() -> None:
    faces = np.ones(1000)
    groups = {"a": np.arange(500), "b": np.arange(500, 1000)}
    even = judge([comparison("error", faces, np.full(1000, 1.05), groups)], "int8")
    assert [one.limit for one in even] == pytest.approx([0.02, 0.1, 0.1])
    assert [one.status for one in even] == [FAILED, OK, OK]
    still = judge([comparison("error", faces, faces, groups)], "int8")
    assert [one.limit for one in still] == [0.02, 0.02, 0.02]
    one_sided = faces.copy()
    one_sided[500:] = 1.03
    hurt = judge([comparison("error", faces, one_sided, groups)], "int8")
    assert [one.status for one in hurt] == [OK, OK, OK]  # 3 % is not more than twice 1.5 %
    one_sided[500:600] = 1.3
    groups["c"] = np.arange(500, 600)
    hurt = judge([comparison("error", faces, one_sided, groups)], "int8")
    assert [one.status for one in hurt[1:]] == [OK, OK, FAILED]


def test_a_small_group_is_reported_and_does_not_count() -> None:
    small, enough = np.arange(MINIMUM - 1), np.arange(MINIMUM)
    groups = {"small": small, "enough": enough, "nobody": np.array([], np.intp)}
    found = judge([comparison("error", np.ones(400), np.where(np.arange(400) < 30, 2, 1), groups)], "int8")
    assert [(one.group, one.n, one.status) for one in found[1:]] == [
        ("small", 29, FEW),
        ("enough", 30, FAILED),
        ("nobody", 0, UNDEFINED),
    ]
    assert found[1].change == 1.0


def test_many_groups_do_not_fail_by_chance() -> None:
    """Flips fall on groups by chance alone: some group always looks bad, and none of them may fail for it."""
    flips = np.random.default_rng(4).random(6000) < 0.04
    groups = {f"{i:03d}": np.arange(i * 40, i * 40 + 40) for i in range(150)}
    together = judge([comparison("flips", np.zeros(6000), flips, groups)], "int8")
    beyond = [groups[one.group] for one in together[1:] if one.change > one.limit]
    assert len(beyond) > 5
    assert [one for one in together[1:] if one.status == FAILED] == []
    alone = [only(judge([comparison("flips", np.zeros(40), flips[at])], "int8")) for at in beyond]
    assert {one.status for one in alone} == {FAILED}


def test_the_worst_is_the_furthest_beyond_its_limit_and_failures_come_first() -> None:
    flips = comparison("score", right(100, 100), right(98, 100))
    steady = comparison("error", np.ones(50), np.full(50, 1.03))
    judged = judge([flips, steady], "int8")
    assert [one.status for one in judged] == [NOISE, FAILED]
    assert judged[0].excess > judged[1].excess
    assert worst(judged) is judged[1]
    assert worst(judged[:1]) is judged[0]
    assert worst([]) is None


def test_a_precision_without_limits_is_named() -> None:
    with pytest.raises(
        ModelError, match=r"no limits for precision 'int4'; known: fp32, fp16, int8, int8-fp16"
    ):
        judge([comparison("score", [1], [1])], "int4")
