"""The tolerance table and the one assertion: what passes, what fails, and the tolerance that would have passed."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nets
from vultus.errors import ModelError
from vultus.spec import HeadKind
from vultus_export.parity import (
    TOLERANCES,
    ParityError,
    assert_close,
    check_parity,
    deviation,
    output_kinds,
    tolerance,
)
from vultus_export.runners import Array

NAN, INF = math.nan, math.inf


def test_every_kind_of_output_has_a_row_at_every_precision() -> None:
    kinds = {*HeadKind.__args__, "maps"}  # type: ignore[attr-defined]
    precisions = {precision for precision, _ in TOLERANCES}
    assert set(TOLERANCES) == {(precision, kind) for precision in precisions for kind in kinds}
    assert "fp32" in precisions


def test_a_pair_without_a_row_is_an_error() -> None:
    with pytest.raises(ModelError, match="no tolerance for output kind 'maps' at precision 'fp8'"):
        tolerance("fp8", "maps")


@pytest.mark.parametrize(
    ("wanted", "got", "passes"),
    [
        ([1.0, -2.0], [1.0, -2.0], True),
        ([], [], True),
        ([0.0], [0.9e-4], True),
        ([0.0], [1.1e-4], False),
        ([1000.0], [1000.09], True),
        ([1000.0], [1000.2], False),
        ([NAN], [NAN], True),
        ([INF], [INF], True),
        ([INF], [-INF], False),
        ([1.0], [NAN], False),
        ([NAN], [1.0], False),
        ([1.0], [INF], False),
    ],
)
def test_what_passes(wanted: list[float], got: list[float], passes: bool) -> None:
    found = deviation("x", "softmax", np.array(wanted, np.float32), np.array(got, np.float32), (1e-4, 1e-4))
    assert found.passed is passes


def test_another_shape_fails() -> None:
    with pytest.raises(ParityError, match=re.escape("age: shape (2, 1), expected (2, 3)")):
        assert_close("age", np.zeros((2, 3)), np.zeros((2, 1)), "fp32", "group_age")


def test_the_message_names_a_tolerance_that_passes() -> None:
    wanted, got = np.array([10.0, 0.5]), np.array([10.05, 0.51])
    with pytest.raises(AssertionError, match="would pass with atol") as caught:
        assert_close("gender", wanted, got, "fp32", "softmax")
    text = str(caught.value)
    assert text.startswith("gender (softmax): largest error 0.05, allowed rtol 0.0001, atol 0.0001")
    atol, rtol = (float(value) for value in re.findall(r"(?:atol|with rtol) ([\d.e-]+)", text)[1:])
    assert deviation("gender", "softmax", wanted, got, (1e-4, atol * 1.01)).passed
    assert deviation("gender", "softmax", wanted, got, (rtol * 1.01, 1e-4)).passed
    assert not deviation("gender", "softmax", wanted, got, (rtol * 0.98, 1e-4)).passed


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(-1, 1, width=32)), min_size=1),
    st.floats(0, 0.1),
    st.floats(1e-6, 0.5),
)
def test_agrees_with_numpy(pairs: list[tuple[float, float]], rtol: float, atol: float) -> None:
    wanted = np.array([pair[0] for pair in pairs])
    got = wanted + np.array([pair[1] for pair in pairs])
    slack = np.abs(np.abs(got - wanted) - atol - rtol * np.abs(wanted)).min()
    if slack > 1e-9:
        found = deviation("x", "maps", wanted, got, (rtol, atol))
        assert found.passed == bool(np.isclose(got, wanted, rtol=rtol, atol=atol).all())


def test_every_output_beyond_its_tolerance_is_listed() -> None:
    def reference(images: Array) -> dict[str, Array]:
        return {head.output: np.zeros((len(images), 1)) for head in nets.FACE.heads}

    def candidate(images: Array) -> dict[str, Array]:
        shift = {"age": 0.5 * len(images), "smile": 0.01}
        return {name: value + shift.get(name, 0.0) for name, value in reference(images).items()}

    with pytest.raises(ParityError, match="'small-face' does not answer as its reference does") as caught:
        check_parity(
            reference, candidate, nets.FACE, [np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float32)]
        )
    lines = str(caught.value).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["age", "smile"]
    assert "largest error 1," in lines[0]


def test_kinds_come_from_the_spec() -> None:
    assert output_kinds(nets.DETECTOR) == {"fine": "maps", "coarse": "maps"}
    assert output_kinds(nets.FACE)["points"] == "landmarks"
