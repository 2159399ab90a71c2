"""Magnitudes counted piece by piece, and the limits that each method reads from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import ModelError
from vultus_export.quantize.ranges import BINS, METHODS, Magnitudes, limit_of


def counted(*pieces: object) -> Magnitudes:
    found = Magnitudes()
    for piece in pieces:
        found.add("x", np.asarray(piece, np.float32))
    return found


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), max_size=30), min_size=1, max_size=6))
def test_nothing_is_lost_however_the_pieces_come(pieces: list[list[float]]) -> None:
    found = counted(*pieces)
    values = np.abs(np.array([value for piece in pieces for value in piece], np.float32))
    assert found.counts.sum() == values.size
    assert found.top == values.max(initial=0.0)
    if found.top:
        assert found.width * BINS >= found.top * 0.999999
        edges = np.arange(1, BINS + 1) * found.width
        share = np.searchsorted(np.sort(values), edges[99], side="right") - found.counts[:100].sum()
        assert abs(share) <= (np.abs(values - edges[99]) <= 2 * found.width).sum()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0, 3.0], [1e-30], [5.0], [], [-7.0, 7.0]])
def test_limits_of_odd_values_lie_within(method: str, values: list[float]) -> None:
    found = counted(values)
    limit = limit_of(found, method)
    assert 0.0 <= limit <= found.top
    assert (limit > 0) == (found.top > 0)


def test_percentiles_clip_outliers_and_minmax_does_not() -> None:
    values = np.concatenate([np.linspace(0, 1, 99_990), np.full(10, 50.0)])
    found = counted(values)
    assert limit_of(found, "minmax") == 50.0
    assert limit_of(found, "percentile-99.999") == pytest.approx(50.0, abs=0.1)
    assert limit_of(found, "percentile-99.9") == pytest.approx(1.0, abs=0.05)


def test_entropy_clips_a_long_thin_tail_but_keeps_a_full_range() -> None:
    rng = np.random.default_rng(8)
    bell = np.maximum(rng.normal(size=200_000), 0)
    tailed = counted(np.concatenate([bell, [40.0]]))
    assert 2.5 < limit_of(tailed, "entropy") < 10
    assert limit_of(counted(rng.uniform(0, 1, 200_000)), "entropy") > 0.95


def test_values_that_are_not_finite_are_named() -> None:
    with pytest.raises(ModelError, match="value 'trunk' is not finite on a calibration picture"):
        Magnitudes().add("trunk", np.array([1.0, np.nan], np.float32))
    with pytest.raises(ModelError, match="not finite"):
        Magnitudes().add("trunk", np.array([np.inf], np.float32))


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ModelError, match="method 'best' is unknown; expected one of minmax, entropy"):
        limit_of(counted([1.0]), "best")
